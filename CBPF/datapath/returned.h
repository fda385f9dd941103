/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What comes back: a pod of this node asks for a service by another node's address, the backend is here, and that node
 * sends the packet through the tunnel as it is. It is like those of the pod's own flow to that node, which tells it
 * from what somebody forges, and so has a zone of its own. Its replies go the whole way back.
 */
#ifndef MARTLET_RETURNED_H
#define MARTLET_RETURNED_H

#include "flow.h"
#include "verdict.h"

static __always_inline bool is_opened_by_pod(const struct flow *flow)
{
	return flow->flags & FLOW_OPENER && flow->input_ifindex != INPUT_NETWORK && flow->input_ifindex != INPUT_HOST &&
	       flow->input_ifindex != INPUT_ANY;
}

/* The flow of a packet at `hook`, whose tuple is put into the zone that it is of. */
static __always_inline struct flow *find_flow_at(struct flow_tuple *tuple, enum hook hook)
{
	struct flow *flow = find_flow(tuple);

	if (hook != HOOK_FROM_TUNNEL || !flow || !is_opened_by_pod(flow))
		return flow;
	tuple->zone = ZONE_RETURNED;
	return find_flow(tuple);
}

#endif
