/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Who a socket is as a client of services, before it has an address. */
#ifndef MARTLET_SOCKET_CLIENT_H
#define MARTLET_SOCKET_CLIENT_H

#include "packet.h"
#include "socket_namespace.h"

/* Set by user space: the namespace of the node itself, whose sockets are balanced though no packet names it. */
const volatile __u64 node_namespace = 0;

/* Interfaces of pods whose sockets are to be left alone. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 14);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} socket_opt_outs SEC(".maps");

/* Whether the socket's namespace is the node's or a pod's that has not opted out. */
static __always_inline bool is_balanced(struct bpf_sock_addr *ctx)
{
	__u64 cookie = bpf_get_netns_cookie(ctx);
	__u32 *interface;

	if (!namespaces_known || cookie == node_namespace)
		return true;
	interface = bpf_map_lookup_elem(&network_namespaces, &cookie);
	return interface && !bpf_map_lookup_elem(&socket_opt_outs, interface);
}

/*
 * The client's key for session affinity: its namespace. Written as a multicast address, which no packet has as its
 * source, so that it meets neither the packet path's keys nor any source range but ::/0.
 */
static __always_inline struct ip_address client_key(struct bpf_sock_addr *ctx)
{
	return (struct ip_address){
		.high = __bpf_constant_cpu_to_be64(0xff00000000000000ULL),
		.low = bpf_get_netns_cookie(ctx),
	};
}

#endif
