/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Flows that rest on what is no more: a pod that has gone, a backend that serves no longer. Nobody looks for them when
 * that happens, so that it costs the same however many flows there are: each finds out by its next packet.
 */
#ifndef MARTLET_STALE_H
#define MARTLET_STALE_H

#include "flow.h"
#include "revocation.h"
#include "sender.h"

/* Whether the pod that this half's packets go to is not in its slot any more; another may be. */
static __always_inline bool has_lost_pod(const struct flow *flow)
{
	struct address_entry receiver;

	if (!flow->endpoint)
		return false;
	receiver = find_address(&flow->destination);
	if (receiver.kind == ADDRESS_LOCAL_POD)
		return receiver.index != flow->endpoint;
	return !is_allowed_source(flow->endpoint, &flow->destination);
}

/* Whether the pod at either end has gone, of a flow of which `other` is the other half. */
static __always_inline bool has_lost_an_end(const struct flow *flow, const struct flow *other)
{
	return has_lost_pod(flow) || (other && has_lost_pod(other));
}

/* Whether the opener would be served otherwise today: what it asked, and whom it was sent to, as they were then. */
static __always_inline bool is_revoked(const struct flow_tuple *asked, const struct flow *flow)
{
	struct revocation_key key = {
		.address = asked->destination,
		.service = flow->service,
		.port = asked->destination_port,
	};

	if (is_revoked_since(&key, flow->service_generation))
		return true;
	if (!flow->service)
		return false;
	/* Where the packet is translated here, it was here that the backend was chosen, however it goes there. */
	key.node = flow->flags & FLOW_REWRITE_DESTINATION ? 0 : flow->tunnel_node;
	key.address = key.node ? (struct ip_address){} : flow->destination;
	key.port = key.node ? 0 : flow->destination_port;
	return is_revoked_since(&key, flow->service_generation);
}

/*
 * Whether the services have changed since the flow was found good by them. UDP alone asks, and of it the opener: a
 * connection goes on with its backend to the end, and what a backend has yet to say to its client is still translated.
 */
static __always_inline bool is_superseded(const struct flow_tuple *tuple, const struct flow *flow)
{
	struct settings *current = current_settings();

	return tuple->protocol == IPPROTO_UDP && flow->flags & FLOW_OPENER && current &&
	       current->service_generation != flow->service_generation;
}

/* Whether the flow under `tuple` must be decided anew. One that is found good is not asked again until more changes. */
__noinline int is_stale(const struct flow_tuple *tuple, struct flow *flow)
{
	struct settings *current = current_settings();
	struct flow_tuple partner;
	__u32 generation;

	if (!tuple || !flow || !current)
		return 0;
	if (is_outdated(flow)) {
		partner = partner_tuple(tuple, flow);
		if (has_lost_an_end(flow, find_flow(&partner)))
			return 1;
	}
	if (!is_superseded(tuple, flow))
		return 0;
	/* Read before the revocations: what is revoked meanwhile counts as later. */
	generation = *(volatile __u32 *)&current->service_generation;
	if (is_revoked(tuple, flow))
		return 1;
	flow->service_generation = generation;
	return 0;
}

#endif
