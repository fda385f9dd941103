/* SPDX-License-Identifier: Apache-2.0 */
/* Attaching and asking what is attached: bpf(2) itself where libbpf 1.1 is older than the hook. */
#ifndef CBPF_SHIM_LINK_H
#define CBPF_SHIM_LINK_H

#include <linux/types.h>

/* BPF_LINK_CREATE. `relative` is an id or descriptor as `flags` say, `revision` 0 for any. Descriptor or -errno. */
int cbpf_link_create(int program, __u32 target, __u32 attach_type, __u32 flags, __u32 relative, __u64 revision);

/* BPF_PROG_QUERY. `count`: capacity in, length out. `links` may be NULL. 0 or -errno. */
int cbpf_program_query(__u32 target, __u32 attach_type, __u32 *programs, __u32 *links, __u32 *count, __u64 *revision);

/* BPF_OBJ_GET_INFO_BY_FD of a link; fields that its type has not are 0. */
struct cbpf_link_info {
	__u32 type;
	__u32 id;
	__u32 program;
	__u32 attach_type;
	__u32 ifindex;
	__u32 netns_inode;
	__u64 cgroup;
};

/* 0 or -errno. */
int cbpf_link_info(int link, struct cbpf_link_info *info);

/* Ids of the XDP programs of an interface of this thread's network namespace, 0 where there is none. */
struct cbpf_xdp_programs {
	__u32 driver;
	__u32 generic;
	__u32 hardware;
};

int cbpf_xdp_query(int ifindex, struct cbpf_xdp_programs *programs);

/* A classic tc filter: bpf_tc_hook_create() and bpf_tc_attach(). `handle` and `priority` 0: chosen and returned. */
int cbpf_tc_attach(int ifindex, int egress, int program, __u32 *handle, __u32 *priority, int replace);
int cbpf_tc_detach(int ifindex, int egress, __u32 handle, __u32 priority);

#endif
