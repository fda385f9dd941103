// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "shim/link.h"

#include "shim/uapi.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int cbpf_link_create(int program, __u32 target, __u32 attach_type, __u32 flags, __u32 relative, __u64 revision)
{
	/* The start of the kernel's `union bpf_attr`, member link_create, with the part of `tcx` and `cgroup`. */
	struct {
		__u32 program, target, attach_type, flags, relative, reserved;
		__u64 revision;
	} attributes = {(__u32)program, target, attach_type, flags, relative, 0, revision};

	int link = (int)syscall(__NR_bpf, BPF_LINK_CREATE, &attributes, sizeof attributes);
	return link < 0 ? -errno : link;
}

int cbpf_program_query(__u32 target, __u32 attach_type, __u32 *programs, __u32 *links, __u32 *count, __u64 *revision)
{
	/* `union bpf_attr`, member query. */
	struct {
		__u32 target, attach_type, query_flags, attach_flags;
		__u64 programs;
		__u32 count, reserved;
		__u64 program_flags, links, link_flags, revision;
	} attributes = {.target = target,
			.attach_type = attach_type,
			.programs = (__u64)(unsigned long)programs,
			.count = *count,
			.links = (__u64)(unsigned long)links};

	int failed = (int)syscall(__NR_bpf, BPF_PROG_QUERY, &attributes, sizeof attributes);
	int error = errno;
	*count = attributes.count;
	*revision = attributes.revision;
	return failed ? -error : 0;
}

int cbpf_link_info(int link, struct cbpf_link_info *info)
{
	/* The kernel's struct bpf_link_info: three numbers, and from byte 16 on what the type says. */
	struct {
		__u32 type, id, program, reserved;
		__u32 words[60];
	} raw;
	__u32 size = sizeof raw;

	memset(&raw, 0, sizeof raw);
	int error = bpf_obj_get_info_by_fd(link, &raw, &size);
	if (error)
		return error;
	*info = (struct cbpf_link_info){.type = raw.type, .id = raw.id, .program = raw.program};
	if (raw.type == BPF_LINK_TYPE_XDP) {
		info->ifindex = raw.words[0];
		info->attach_type = BPF_XDP;
	} else if (raw.type == CBPF_LINK_TYPE_TCX || raw.type == CBPF_LINK_TYPE_NETKIT) {
		info->ifindex = raw.words[0];
		info->attach_type = raw.words[1];
	} else if (raw.type == BPF_LINK_TYPE_CGROUP) {
		memcpy(&info->cgroup, raw.words, sizeof info->cgroup);
		info->attach_type = raw.words[2];
	} else if (raw.type == BPF_LINK_TYPE_NETNS) {
		info->netns_inode = raw.words[0];
		info->attach_type = raw.words[1];
	}
	return 0;
}

int cbpf_xdp_query(int ifindex, struct cbpf_xdp_programs *programs)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, options);

	int error = bpf_xdp_query(ifindex, 0, &options);
	*programs = (struct cbpf_xdp_programs){options.drv_prog_id, options.skb_prog_id, options.hw_prog_id};
	return error;
}

static struct bpf_tc_hook tc_hook(int ifindex, int egress)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS);

	return hook;
}

int cbpf_tc_attach(int ifindex, int egress, int program, __u32 *handle, __u32 *priority, int replace)
{
	struct bpf_tc_hook hook = tc_hook(ifindex, egress);
	LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program, .flags = replace ? BPF_TC_F_REPLACE : 0,
		    .handle = *handle, .priority = *priority);

	int error = bpf_tc_hook_create(&hook);
	if (error && error != -EEXIST)
		return error;
	error = bpf_tc_attach(&hook, &options);
	*handle = options.handle;
	*priority = options.priority;
	return error;
}

int cbpf_tc_detach(int ifindex, int egress, __u32 handle, __u32 priority)
{
	struct bpf_tc_hook hook = tc_hook(ifindex, egress);
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = handle, .priority = priority);

	return bpf_tc_detach(&hook, &options);
}
