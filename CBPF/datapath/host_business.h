/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Which packets are none of our business, but the link's or the host's own. */
#ifndef MARTLET_HOST_BUSINESS_H
#define MARTLET_HOST_BUSINESS_H

#include "draft.h"
#include "host_policy.h"
#include "prefix.h"
#include "sender.h"
#include "service.h"
#include "tunnel.h"

/*
 * Multicast, broadcast and link-local traffic is the link's own business. But Linux routes 169.254.0.0/16 like any
 * other addresses, and clouds answer there: what a pod sends there is judged.
 */
static __always_inline bool is_link_scoped(struct ip_address address, __u8 family, enum hook hook)
{
	__u32 v4 = bpf_ntohl(address_to_v4(address));
	__u64 high = bpf_be64_to_cpu(address.high);

	if (family == 4)
		return v4 >> 28 == 0xe || v4 == 0xffffffff || (v4 >> 16 == 0xa9fe && hook != HOOK_FROM_POD);
	return high >> 56 == 0xff || high >> 54 == 0xfe80 >> 6;
}

/*
 * Whether the host opens a flow whose replies look like those of one that it has through a service: to the stack the
 * service and its backend are different peers, and one source port will do for both.
 */
static __always_inline bool replies_collide(const struct packet *packet, enum hook hook)
{
	struct flow_tuple reply = reversed(&packet->tuple);

	if (packet->tuple.protocol == IPPROTO_TCP && (packet->tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return false;
	return from_stack(hook) && find_flow(&reply);
}

/* Whether pods of other nodes are reached through the tunnel: then what goes to them or comes from them is ours. */
static __always_inline bool has_overlay(void)
{
	struct settings *current = current_settings();

	return current && current->overlay;
}

/* A question that whoever has the address would answer himself. */
static __always_inline bool is_ping(const struct packet *packet)
{
	return packet->tuple.protocol == IPPROTO_ICMP || packet->tuple.protocol == IPPROTO_ICMPV6;
}

/*
 * Flows between the host and others than its pods are not ours to track, unless we have to tell them apart from those
 * that are. Each of their packets comes by here, so this is asked before anything else.
 */
static __always_inline bool is_host_business(const struct packet *packet, struct address_entry source,
					     struct address_entry destination, enum hook hook)
{
	if (hook == HOOK_FROM_POD || hook == HOOK_FROM_TUNNEL || find_frontend(&packet->tuple) ||
	    replies_collide(packet, hook))
		return false;
	/* What comes from a pod has been decided on, or has to be. */
	if (source.kind == ADDRESS_LOCAL_POD)
		return false;
	if (has_overlay() && (find_prefix(&packet->tuple.source).node || find_prefix(&packet->tuple.destination).node))
		return false;
	if (destination.kind == ADDRESS_EXTERNAL)
		return !is_ping(packet);
	if (destination.kind == ADDRESS_UNKNOWN)
		return !(find_prefix(&packet->tuple.destination).flags & PREFIX_SERVICE);
	return destination.kind == ADDRESS_THIS_NODE || destination.kind == ADDRESS_OTHER_NODE;
}

/*
 * Whether the host has a policy at this interface, so that what it sends, receives or forwards there has to be tracked.
 * The tunnel between nodes is never closed.
 */
static __always_inline bool is_host_judged(const struct __sk_buff *skb, const struct packet *packet)
{
	return !is_on_loopback(skb) && !is_tunnel_packet(packet) && has_host_endpoint(skb->ifindex);
}

/* A flow of the host's own business is judged, and otherwise as if nobody had seen it. */
static __always_inline int leave_to_stack(struct draft *draft)
{
	draft->flow.flags |= FLOW_BY_STACK;
	draft->flow.input_ifindex = INPUT_ANY;
	return SERVICE_CHOSEN;
}

#endif
