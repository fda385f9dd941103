// SPDX-License-Identifier: Apache-2.0
/* bpf(2) by hand, so that a probe does not depend on the library that is being tested. */
#include "cbpftesting.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

static int close_probe(long fd)
{
	if (fd < 0)
		return -errno;
	close((int)fd);
	return 0;
}

int bpftest_probe_map(void)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_ARRAY;
	attr.key_size = 4;
	attr.value_size = 4;
	attr.max_entries = 1;
	return close_probe(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
}

int bpftest_probe_classifier(void)
{
	struct bpf_insn program[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SCHED_CLS;
	attr.insns = (unsigned long)program;
	attr.insn_cnt = sizeof(program) / sizeof(program[0]);
	attr.license = (unsigned long)"Apache-2.0";
	return close_probe(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)));
}

int bpftest_is_on_bpffs(int fd)
{
	struct statfs status;

	if (fstatfs(fd, &status))
		return -errno;
	return status.f_type == BPF_FS_MAGIC;
}
