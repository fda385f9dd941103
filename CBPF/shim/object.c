// SPDX-License-Identifier: Apache-2.0
#include "shim/object.h"

#include <bpf/bpf.h>

struct bpf_object *cbpf_object_open_bytes(const void *bytes, size_t size, const char *name)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = name);

	return bpf_object__open_mem(bytes, size, &options);
}

struct bpf_object *cbpf_object_open_file(const char *path)
{
	return bpf_object__open_file(path, NULL);
}

int cbpf_program_load(__u32 type, __u32 expected_attach_type, const char *name, const char *licence,
		      const struct bpf_insn *instructions, size_t count, char *log, __u32 log_size)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = (enum bpf_attach_type)expected_attach_type,
		    .log_buf = log, .log_size = log_size, .log_level = log ? 1 : 0);

	return bpf_prog_load((enum bpf_prog_type)type, name, licence, instructions, count, &options);
}

int cbpf_program_test_run(int program, struct cbpf_test_run *run)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = run->data_in, .data_out = run->data_out,
		    .data_size_in = run->data_size_in, .data_size_out = run->data_size_out, .ctx_in = run->context_in,
		    .ctx_out = run->context_out, .ctx_size_in = run->context_size_in,
		    .ctx_size_out = run->context_size_out, .repeat = (int)run->repeat, .flags = run->flags,
		    .cpu = run->cpu, .batch_size = run->batch_size);

	int error = bpf_prog_test_run_opts(program, &options);
	run->data_size_out = options.data_size_out;
	run->context_size_out = options.ctx_size_out;
	run->return_value = options.retval;
	run->duration = options.duration;
	return error;
}
