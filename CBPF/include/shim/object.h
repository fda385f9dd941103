/* SPDX-License-Identifier: Apache-2.0 */
/* libbpf calls whose option structs Swift cannot fill: they have bit-fields or macros in the way. */
#ifndef CBPF_SHIM_OBJECT_H
#define CBPF_SHIM_OBJECT_H

#include <bpf/libbpf.h>
#include <stddef.h>

/* Both return NULL with errno set. `bytes` is only read during the call. */
struct bpf_object *cbpf_object_open_bytes(const void *bytes, size_t size, const char *name);
struct bpf_object *cbpf_object_open_file(const char *path);

/* Loads instructions. Returns a descriptor or -errno; `log` may be NULL. */
int cbpf_program_load(__u32 type, __u32 expected_attach_type, const char *name, const char *licence,
		      const struct bpf_insn *instructions, size_t count, char *log, __u32 log_size);

/* Arguments and results of BPF_PROG_TEST_RUN. Sizes of `data_out` and `context_out`: capacity in, length out. */
struct cbpf_test_run {
	const void *data_in;
	void *data_out;
	const void *context_in;
	void *context_out;
	__u32 data_size_in;
	__u32 data_size_out;
	__u32 context_size_in;
	__u32 context_size_out;
	__u32 repeat;
	__u32 flags;
	__u32 cpu;
	__u32 batch_size;
	__u32 return_value; /* out */
	__u32 duration;	    /* out: nanoseconds a run */
};

/* Returns 0 or -errno. */
int cbpf_program_test_run(int program, struct cbpf_test_run *run);

#endif
