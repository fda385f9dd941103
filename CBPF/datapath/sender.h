/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Who sends a packet, and whether it may use the address that it gives for its own. */
#ifndef MARTLET_SENDER_H
#define MARTLET_SENDER_H

#include "address.h"
#include "flow.h"
#include "host_socket.h"
#include "packet.h"
#include "policy_maps.h"
#include "prefix.h"
#include "verdict.h"

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1 << 12);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct allowed_source_key);
	__type(value, __u32);
} allowed_sources SEC(".maps");

/*
 * An address of this node's own pod ranges that is no pod of ours: one that is gone, or not ready yet. Nothing is
 * forwarded to or from it, so that no pod is ever reached without its policy.
 */
static __always_inline bool is_absent_pod(const struct ip_address *address, struct address_entry entry)
{
	return entry.kind == ADDRESS_UNKNOWN && find_prefix(address).flags & PREFIX_LOCAL_POD;
}

static __always_inline bool is_allowed_source(__u32 slot, const struct ip_address *address)
{
	struct allowed_source_key key = {.length = 32 + 128, .endpoint = bpf_htonl(slot)};

	__builtin_memcpy(key.address, address, sizeof(key.address));
	return bpf_map_lookup_elem(&allowed_sources, &key);
}

/* The slot of the pod that sends, at its own interface and from an address that it may use; 0: it may not. */
static __always_inline __u32 sending_pod(const struct __sk_buff *skb, const struct packet *packet,
					 struct address_entry source)
{
	struct endpoint *endpoint = bpf_map_lookup_elem(&endpoints, &source.index);
	__u32 interface = skb->ifindex, *slot;

	if (source.kind == ADDRESS_LOCAL_POD && endpoint && endpoint->ifindex == interface)
		return source.index;
	slot = bpf_map_lookup_elem(&endpoint_interfaces, &interface);
	return slot && is_allowed_source(*slot, &packet->tuple.source) ? *slot : 0;
}

/*
 * Whether this node has sent, to another, what comes back through the tunnel from an address of this node's: a process
 * that waits for the answer, or a pod that has left with that address. The other node does not know it for one of ours.
 */
__noinline int is_own_returned(struct __sk_buff *skb, const struct flow_tuple *tuple)
{
	struct flow_tuple answer;

	if (!tuple)
		return false;
	answer = reversed(tuple);
	answer.zone = ZONE_USUAL;
	return find_flow(&answer) || host_has_socket(skb, &answer, tuple->protocol == IPPROTO_TCP);
}

/* Whether the sender may use this source address, which is `source` to this node, at this hook. */
static __always_inline bool source_valid(struct __sk_buff *skb, const struct packet *packet,
					 struct address_entry source, enum hook hook)
{
	if (hook == HOOK_FROM_POD)
		return sending_pod(skb, packet, source);
	if (is_absent_pod(&packet->tuple.source, source))
		return false;
	if (hook == HOOK_FROM_TUNNEL && source.kind == ADDRESS_THIS_NODE)
		return is_own_returned(skb, &packet->tuple);
	/* That it is no forgery is known by the flow that the pod has opened. */
	if (packet->tuple.zone == ZONE_RETURNED)
		return true;
	return from_stack(hook) || (source.kind != ADDRESS_LOCAL_POD && source.kind != ADDRESS_THIS_NODE);
}

/* As source_valid(), of the packet's source. Global, to keep it out of its callers' stacks. */
__noinline int may_send(struct __sk_buff *skb, const struct packet *packet, __u32 hook)
{
	return packet && source_valid(skb, packet, find_address(&packet->tuple.source), hook);
}

/* The slot of the pod that opens a flow by this packet, whose source is valid; 0: no pod of this node. */
static __always_inline __u32 opening_pod(const struct __sk_buff *skb, const struct packet *packet,
					 struct address_entry source, enum hook hook)
{
	if (hook == HOOK_FROM_POD)
		return sending_pod(skb, packet, source);
	return source.kind == ADDRESS_LOCAL_POD ? source.index : 0;
}

/* Whether a packet that the stack sends comes from the host itself, rather than from somewhere through it. */
static __always_inline bool is_from_host(const struct __sk_buff *skb, const struct packet *packet, enum hook hook)
{
	return from_stack(hook) &&
	       (!skb->ingress_ifindex || find_address(&packet->tuple.source).kind == ADDRESS_THIS_NODE);
}

#endif
