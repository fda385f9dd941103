/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * A flow begins unconfirmed, and is confirmed when its opener answers the answer: both halves then move to map `flows`.
 */
#ifndef MARTLET_CONFIRM_H
#define MARTLET_CONFIRM_H

#include "expiry.h"
#include "flow.h"

/* Copies one half from the unconfirmed flows; -1 if there is no half or no room. */
static __always_inline int confirm_half(const struct flow_tuple *tuple)
{
	struct flow *flow = bpf_map_lookup_elem(&unconfirmed_flows, tuple), *confirmed;

	/* The layouts are the same. */
	if (!flow || bpf_map_update_elem(&flows, tuple, flow, BPF_NOEXIST))
		return -1;
	confirmed = find_confirmed(tuple);
	if (confirmed && confirmed->state < FLOW_ESTABLISHED)
		confirmed->state = FLOW_ESTABLISHED;
	return 0;
}

/* Lets a flow that there is no room for rest as long as if there were. */
static __always_inline void establish_unconfirmed(struct flow *flow, const struct flow_tuple *reply)
{
	struct flow *other = bpf_map_lookup_elem(&unconfirmed_flows, reply);

	if (other && flow->state < FLOW_ESTABLISHED)
		flow->state = other->state = FLOW_ESTABLISHED;
}

/*
 * Moves a flow to the confirmed ones. Without room it stays where it is, works on, and may be evicted by newer ones:
 * counted, never an error.
 */
__noinline int confirm_flow(struct __sk_buff *skb, const struct flow_tuple *opener)
{
	struct flow_expiry expiry = {};
	struct flow_tuple reply;
	struct flow *flow;

	if (!opener)
		return -1;
	flow = bpf_map_lookup_elem(&unconfirmed_flows, opener);
	if (!flow)
		return -1;
	reply = partner_tuple(opener, flow);
	expiry.opener = *opener;
	expiry.created = flow->created;
	if (confirm_half(&reply))
		goto no_reply;
	if (confirm_half(opener))
		goto no_room;
	if (schedule_expiry(&expiry))
		goto no_expiry;
	bpf_map_delete_elem(&unconfirmed_flows, opener);
	bpf_map_delete_elem(&unconfirmed_flows, &reply);
	count(skb, COUNTER_FLOWS_CONFIRMED);
	return 0;
no_expiry:
	bpf_map_delete_elem(&flows, opener);
no_room:
	bpf_map_delete_elem(&flows, &reply);
no_reply:
	establish_unconfirmed(flow, &reply);
	count(skb, COUNTER_FLOWS_UNCONFIRMABLE);
	return -1;
}

#endif
