/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Who a socket is as a client of services, before it has an address. */
#ifndef MARTLET_SOCKET_CLIENT_H
#define MARTLET_SOCKET_CLIENT_H

#include "affinity.h"
#include "packet.h"
#include "socket_namespace.h"
#include "verdict.h"

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

/* The interface that the socket's namespace is plugged in by; 1 (lo): it is the node's own; 0: not known. */
static __always_inline __u32 client_interface(struct bpf_sock_addr *ctx)
{
	__u64 cookie = bpf_get_netns_cookie(ctx);
	__u32 *interface;

	if (cookie == node_namespace)
		return INPUT_HOST;
	interface = bpf_map_lookup_elem(&network_namespaces, &cookie);
	return interface ? *interface : 0;
}

/* Whether the socket's namespace is the node's or a pod's that has not opted out. */
static __always_inline bool is_balanced(struct bpf_sock_addr *ctx)
{
	__u32 interface;

	if (!namespaces_known)
		return true;
	interface = client_interface(ctx);
	return interface && !bpf_map_lookup_elem(&socket_opt_outs, &interface);
}

/* The client as session affinity knows it. Where interfaces are not known, it is known by its namespace. */
static __always_inline struct ip_address client_key(struct bpf_sock_addr *ctx, const struct ip_address *destination)
{
	__u32 interface = client_interface(ctx);
	struct ip_address client = client_behind(interface, destination);

	if (!interface)
		client.low |= bpf_get_netns_cookie(ctx) << 33;
	return client;
}

#endif
