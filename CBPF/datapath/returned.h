/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What comes back: a pod of this node asks for a service by another node's address, the backend is here, and that node
 * sends the packet through the tunnel as it is. It is like those of the pod's own flow to that node, which tells it
 * from what somebody forges, and so has a zone of its own. Its replies go the whole way back. So it is with what this
 * node itself has sent, from an address that the other does not know for one of a node.
 */
#ifndef MARTLET_RETURNED_H
#define MARTLET_RETURNED_H

#include "address.h"
#include "flow.h"
#include "tunnel.h"
#include "verdict.h"

/* Whether a pod of this node has opened the flow, and its packets leave as they are. */
static __always_inline bool leaves_as_it_is(const struct flow *flow)
{
	if (flow->input_ifindex == INPUT_NETWORK || flow->input_ifindex == INPUT_HOST ||
	    flow->input_ifindex == INPUT_ANY || flow->endpoint || flow->tunnel_node)
		return false;
	return (flow->flags & (FLOW_OPENER | FLOW_REWRITE_SOURCE | FLOW_REWRITE_DESTINATION | FLOW_TO_HOST)) ==
	       FLOW_OPENER;
}

/* Whether the address is that of the node that has sent the packet through the tunnel. Global, since few ask. */
__noinline int is_of_sender(struct __sk_buff *skb, const struct ip_address *address)
{
	struct address_entry entry;

	if (!address)
		return false;
	entry = find_address(address);
	return entry.kind == ADDRESS_OTHER_NODE && entry.index == tunnel_sender(skb);
}

/* The flow of a packet at `hook`, whose tuple is put into the zone that it is of. */
static __always_inline struct flow *find_flow_at(struct __sk_buff *skb, struct flow_tuple *tuple, enum hook hook)
{
	struct flow *flow = find_flow(tuple);

	if (hook != HOOK_FROM_TUNNEL || (flow && flow->input_ifindex == INPUT_NETWORK))
		return flow;
	if (!is_of_this_node(&tuple->source) &&
	    !(flow && leaves_as_it_is(flow) && is_of_sender(skb, &tuple->destination)))
		return flow;
	tuple->zone = ZONE_RETURNED;
	return find_flow(tuple);
}

#endif
