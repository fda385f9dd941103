/// The objects built from `Programs/*.bpf.c` of these tests.
enum BPFPrograms {}
