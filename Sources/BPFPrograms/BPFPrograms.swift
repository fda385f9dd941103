/// The BPF objects built from `CBPF/datapath/*.bpf.c`, each as a hexadecimal `StaticString`: one static property per
/// source file, generated during the build.
public enum BPFPrograms {}
