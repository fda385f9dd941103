/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Source translation, where there is no way round it: pods that leave the cluster take the node's address, and two
 * flows whose replies would look alike get different source ports.
 */
#ifndef MARTLET_MASQUERADE_H
#define MARTLET_MASQUERADE_H

#include "flow.h"
#include "forward_errors.h"
#include "address.h"
#include "host_socket.h"
#include "prefix.h"

/*
 * Ports for translated sources: below those that Linux gives to sockets by itself (net.ipv4.ip_local_port_range). Set
 * by user space. Sixteen tries find a free one, nearly always, up to nine in ten taken by flows to the same
 * destination.
 */
const volatile __u16 source_port_first = 1024;
const volatile __u16 source_port_last = 32767;
#define SOURCE_PORT_TRIES 16

/* Gives the flow of a pod that leaves the cluster this node's address, if the pod's range is one that does so. */
static __always_inline void masquerade(const struct packet *packet, struct flow *flow)
{
	struct ip_address own = own_address(packet);

	if (!(find_prefix(&flow->source).flags & PREFIX_MASQUERADE) || !(own.high || own.low >> 32) ||
	    find_prefix(&flow->destination).flags & (PREFIX_POD | PREFIX_MASQUERADE))
		return;
	flow->source = own;
	flow->flags |= FLOW_REWRITE_SOURCE;
}

/*
 * Whether a half under `tuple` belongs to somebody else; a forgotten or finished flow does not count. Global, as the
 * next, to keep their tuples out of their callers' stacks.
 */
__noinline int tuple_taken(const struct flow_tuple *tuple, const struct flow_tuple *opener)
{
	struct flow *flow = tuple ? find_flow(tuple) : NULL, *other;
	struct flow_tuple partner;

	if (!tuple || !opener || !flow)
		return false;
	partner = partner_tuple(tuple, flow);
	if (same_ends(&partner, opener))
		return false;
	other = find_flow(&partner);
	if (flow->state != FLOW_CLOSED && !(is_idle(tuple, flow) && (!other || is_idle(&partner, other))))
		return true;
	remove_halves(tuple, &partner);
	return false;
}

static __always_inline bool reply_is_free(struct __sk_buff *skb, const struct flow_tuple *opener,
					  const struct flow *flow, struct flow_tuple *reply)
{
	write_partner(reply, opener, flow);
	if (tuple_taken(reply, opener))
		return false;
	/* A source that is not the sender's own is this node's. */
	if (!address_equal(flow->source, opener->source))
		return !host_has_socket(skb, reply, false);
	/* The host may use one port for the service and for its backend: to the stack these are different peers. */
	return flow->input_ifindex != INPUT_HOST || !(flow->flags & FLOW_REWRITE_DESTINATION) ||
	       !host_has_socket(skb, reply, true);
}

/* Whether there is a port, or an identifier, that tells two flows between the same addresses apart. */
static __always_inline bool has_source_port(const struct flow_tuple *tuple)
{
	switch (tuple->protocol) {
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return !tuple->icmp_query || has_icmp_id(tuple->protocol, tuple->icmp_query);
	default:
		return has_ports(tuple->protocol);
	}
}

static __always_inline void set_source_port(const struct flow_tuple *opener, struct flow *flow, __be16 port)
{
	flow->source_port = port;
	flow->flags |= FLOW_REWRITE_SOURCE;
	/* ICMP has one identifier, which stands for both ports. */
	if (!has_ports(opener->protocol))
		flow->destination_port = port;
}

/*
 * Makes the reply's tuple unique: two flows to one backend from the same client address and port, one of them through
 * a service, would otherwise share it, and so would pods that share the node's address. Leaves it in `reply`; -1: no
 * free port found.
 */
__noinline int settle_source_port(struct __sk_buff *skb, const struct flow_tuple *opener, struct flow *flow,
				  struct flow_tuple *reply)
{
	__u32 count = source_port_last - source_port_first + 1;
	int i;

	if (!opener || !flow || !reply)
		return -1;
	if (reply_is_free(skb, opener, flow, reply))
		return 0;
	if (!has_source_port(opener))
		return -1;
	for (i = 0; i < SOURCE_PORT_TRIES; i++) {
		set_source_port(opener, flow, bpf_htons(source_port_first + bpf_get_prandom_u32() % count));
		if (reply_is_free(skb, opener, flow, reply))
			return 0;
	}
	return -1;
}

#endif
