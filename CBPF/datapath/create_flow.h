/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The two entries of a flow: the drafted opener's half, the reply's half that follows from it, and how they are entered
 * so that processors that do it at once agree.
 */
#ifndef MARTLET_CREATE_FLOW_H
#define MARTLET_CREATE_FLOW_H

#include "draft.h"
#include "masquerade.h"
#include "verdict.h"

/* Turns the opener's half, under `opener`, into the reply's half, in place. */
static __always_inline void turn_round(const struct flow_tuple *opener, struct flow *flow, __u32 opener_endpoint,
				       __u32 reply_input)
{
	__u16 flags = flow->flags & (FLOW_LOOPBACK | FLOW_BY_STACK | FLOW_RETURNED);

	if (flow->flags & FLOW_REWRITE_SOURCE)
		flags |= FLOW_REWRITE_DESTINATION;
	if (flow->flags & FLOW_REWRITE_DESTINATION)
		flags |= FLOW_REWRITE_SOURCE;
	if (flow->input_ifindex == INPUT_HOST || flow->flags & FLOW_FROM_HOST)
		flags |= FLOW_TO_HOST;
	flow->source = opener->destination;
	flow->destination = opener->source;
	flow->source_port = opener->destination_port;
	flow->destination_port = opener->source_port;
	flow->flags = flags;
	flow->endpoint = opener_endpoint;
	flow->input_ifindex = reply_input;
	/* The first packet was the opener's. */
	flow->next_sequence = 0;
	flow->packets = flow->bytes = 0;
}

/* Where replies of this flow will come from. */
static __always_inline __u32 reply_input(const struct flow *flow)
{
	__u32 slot = flow->endpoint;
	struct endpoint *endpoint;

	if (flow->flags & FLOW_BY_STACK)
		return INPUT_ANY;
	if (flow->flags & FLOW_TO_HOST)
		return INPUT_HOST;
	if (!slot)
		return INPUT_NETWORK;
	endpoint = bpf_map_lookup_elem(&endpoints, &slot);
	return endpoint ? endpoint->ifindex : INPUT_NETWORK;
}

/* Somebody else has just been given the tuple that the reply would have come under. */
#define REPLY_TAKEN -1

/*
 * Enters the half of the replies, which is in the draft, by a tuple that no two processors can give to two flows. 0,
 * REPLY_TAKEN, or the counter to drop the packet under.
 */
static __always_inline int enter_reply(const struct draft *draft, const struct flow_tuple *opener, bool by_stack)
{
	if (!bpf_map_update_elem(&unconfirmed_flows, &draft->reply, &draft->answer, BPF_NOEXIST))
		return 0;
	if (!by_stack && tuple_taken(&draft->reply, opener))
		return REPLY_TAKEN;
	/* What an earlier flow of the same ends has left. */
	return bpf_map_update_elem(&unconfirmed_flows, &draft->reply, &draft->answer, BPF_ANY)
		       ? COUNTER_DROP_CONNTRACK_FULL
		       : 0;
}

/* The packet's flow cannot be entered, or another processor has just done so: by that one the packet goes, then. */
static __always_inline int withdraw_reply(const struct flow_tuple *opener, const struct flow_tuple *reply)
{
	struct flow *existing = find_flow(opener);
	struct flow_tuple other;

	if (existing) {
		write_partner(&other, opener, existing);
		/* Both have given it the same. */
		if (same_ends(&other, reply))
			return 0;
	}
	bpf_map_delete_elem(&unconfirmed_flows, reply);
	return existing ? 0 : COUNTER_DROP_CONNTRACK_FULL;
}

/*
 * Enters both halves of a flow whose opener's half, and whose reply's tuple, are the draft's; replies go through the
 * tunnel to `reply_tunnel`, or not. 0, REPLY_TAKEN, or the counter to drop the packet under.
 */
__noinline int create_flow(struct __sk_buff *skb, const struct flow_tuple *opener, __u32 opener_slot,
			   __u32 reply_tunnel)
{
	struct draft *draft = current_draft();
	int reason;

	if (!opener || !draft)
		return COUNTER_DROP_CONNTRACK_FULL;
	draft->answer = draft->flow;
	draft->answer.tunnel_node = reply_tunnel;
	turn_round(opener, &draft->answer, opener_slot, reply_input(&draft->flow));
	reason = enter_reply(draft, opener, draft->flow.flags & FLOW_BY_STACK);
	if (reason)
		return reason;
	if (bpf_map_update_elem(&unconfirmed_flows, opener, &draft->flow, BPF_NOEXIST))
		return withdraw_reply(opener, &draft->reply);
	count(skb, COUNTER_FLOWS_CREATED);
	return 0;
}

/* Enters the drafted flow under a source port, if it must be another, by which nobody else's replies come. */
static __always_inline int settle_flow(struct __sk_buff *skb, const struct flow_tuple *opener, struct draft *draft,
				       __u32 opener_slot, __u32 reply_tunnel)
{
	int i, reason = REPLY_TAKEN;

	for (i = 0; i < 3 && reason == REPLY_TAKEN; i++) {
		if (draft->flow.flags & FLOW_BY_STACK)
			write_partner(&draft->reply, opener, &draft->flow);
		else if (settle_source_port(skb, opener, &draft->flow, &draft->reply))
			return COUNTER_DROP_PORT_EXHAUSTED;
		reason = create_flow(skb, opener, opener_slot, reply_tunnel);
	}
	return reason == REPLY_TAKEN ? COUNTER_DROP_PORT_EXHAUSTED : reason;
}

#endif
