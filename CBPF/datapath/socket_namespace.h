/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Which pod a socket belongs to. User space cannot tell a pod's network namespace from the interface that leads to it,
 * so the packets do: each that leaves a pod still has the socket it was sent by. Until a namespace's first packet has
 * been seen its sockets are left alone, which is never wrong, since the packet path serves them. So are for good those
 * of namespaces that are not behind a pod's interface: their addresses may mean something else.
 */
#ifndef MARTLET_SOCKET_NAMESPACE_H
#define MARTLET_SOCKET_NAMESPACE_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "layout/socket.h"

/*
 * Whether packets tell their namespace: bpf_get_netns_cookie() in tc programs, Linux 6.15. Without it all sockets below
 * the cgroup are balanced and none can be left out. User space clears it after probing.
 */
const volatile __u32 namespaces_known = 1;

/* Shared by the packet programs, which write it, and the socket programs, which read it. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 14);
	__type(key, __u64);
	__type(value, __u32);
} network_namespaces SEC(".maps");

/*
 * Remembers where a packet that leaves a pod comes from. Forwarded packets have no socket and tell nothing. Global, to
 * keep its variables out of its caller's stack.
 */
__noinline int remember_namespace(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex, *known;
	__u64 cookie;

	if (!namespaces_known || !skb->sk)
		return 0;
	cookie = bpf_get_netns_cookie(skb);
	known = bpf_map_lookup_elem(&network_namespaces, &cookie);
	if (!known || *known != ifindex)
		bpf_map_update_elem(&network_namespaces, &cookie, &ifindex, BPF_ANY);
	return 0;
}

#endif
