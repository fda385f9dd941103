/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * A flow's first packet: who sends, whom it is for, which backend serves it, and the two entries that the rest of the
 * flow is handled by.
 */
#ifndef MARTLET_NEW_FLOW_H
#define MARTLET_NEW_FLOW_H

#include "admission.h"
#include "balance.h"
#include "draft.h"
#include "expiry.h"
#include "forward.h"
#include "host_business.h"
#include "link_policy.h"
#include "masquerade.h"
#include "prefix.h"
#include "sender.h"
#include "service.h"

/* May this packet, of which no flow is known, begin one? */
static __always_inline bool may_begin(const struct packet *packet)
{
	switch (packet->tuple.protocol) {
	case IPPROTO_TCP:
		/* Opening, or the middle of a connection that is older than these tables. */
		return packet->tcp_flags & TCP_SYN ? !(packet->tcp_flags & TCP_ACK) : !(packet->tcp_flags & TCP_RST);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return !is_icmp_notice(packet) &&
		       icmp_question(packet->tuple.protocol, packet->icmp_type) == packet->icmp_type;
	default:
		return true;
	}
}

/* Whether a pod has made a tunnel's packet, which somebody might take for a node's, and may not. */
static __always_inline bool is_workload_tunnel(__u8 protocol, __be16 destination_port)
{
	struct settings *current = current_settings();

	if (current && current->workload_tunnels)
		return false;
	switch (protocol) {
	case IPPROTO_IPIP:
	case IPPROTO_IPV6:
		return true;
	case IPPROTO_UDP:
		return destination_port == bpf_htons(tunnel_port) || destination_port == bpf_htons(VXLAN_PORT);
	default:
		return false;
	}
}

/* Turns the opener's half, under `opener`, into the reply's half, in place. */
static __always_inline void turn_round(const struct flow_tuple *opener, struct flow *flow, __u32 opener_endpoint,
				       __u32 reply_input)
{
	__u16 flags = flow->flags & (FLOW_LOOPBACK | FLOW_BY_STACK);

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

static __always_inline int end_packet(struct __sk_buff *skb, const struct packet *packet, int result, enum hook hook)
{
	return result == SERVICE_REFUSE ? refuse(skb, packet, hook) : drop(skb, -result);
}

/* The interface that a packet has come in by; 0: the host sends it. */
static __always_inline __u32 entry_of(const struct __sk_buff *skb, const struct packet *packet, enum hook hook)
{
	if (!from_stack(hook))
		return skb->ifindex;
	return is_from_host(skb, packet, hook) ? 0 : skb->ingress_ifindex;
}

/* Drafts the opener's half of a flow that is not translated yet. Global, to keep it out of its caller's stack. */
__noinline int draft_opener(struct __sk_buff *skb, const struct packet *packet, __u32 hook)
{
	struct settings *current = current_settings();
	struct draft *draft = current_draft();

	if (!packet || !draft)
		return -1;
	draft->choice.flags = 0;
	draft->flow = (struct flow){
		.source = packet->tuple.source,
		.destination = packet->tuple.destination,
		.source_port = packet->tuple.source_port,
		.destination_port = packet->tuple.destination_port,
		.flags = FLOW_OPENER | (is_on_loopback(skb) ? FLOW_LOOPBACK : 0) |
			 (is_from_host(skb, packet, hook) ? FLOW_FROM_HOST : 0),
		.icmp_code = packet->icmp_code,
		.icmp_type = packet->icmp_type,
		.input_ifindex = input_of(skb, hook),
		.entry_ifindex = entry_of(skb, packet, hook),
		.policy_generation = current ? current->policy_generation : 0,
		.service_generation = current ? current->service_generation : 0,
		.created = ticks(),
	};
	touch(packet, &draft->flow);
	return 0;
}

/* Where the replies of a flow that came through the tunnel go: back through it, or directly where the service says so.
 */
static __always_inline __u32 reply_tunnel(struct __sk_buff *skb, const struct packet *packet, __u32 service_flags,
					  enum hook hook)
{
	/* A pod that another node lets reach this one as itself: the network knows no way back to it. */
	if (hook == HOOK_FROM_NET && has_overlay())
		return find_prefix(&packet->tuple.source).node;
	if (hook != HOOK_FROM_TUNNEL)
		return 0;
	if (service_flags & FRONTEND_DSR && !(find_prefix(&packet->tuple.source).flags & PREFIX_NO_DSR))
		return 0;
	return tunnel_sender(skb);
}

/* Pods of other nodes, where the cluster's pods are reached through the tunnel. */
static __always_inline void aim_through_overlay(struct flow *flow, struct address_entry destination)
{
	if (has_overlay() && destination.kind == ADDRESS_UNKNOWN)
		flow->tunnel_node = find_prefix(&flow->destination).node;
}

/* Completes the opener's half by what its destination is. */
static __always_inline void aim(const struct packet *packet, struct flow *flow, enum hook hook)
{
	struct address_entry destination;

	if (flow->tunnel_node)
		return;
	destination = find_address(&flow->destination);
	if (flow->flags & FLOW_BY_STACK) {
		if (destination.kind == ADDRESS_THIS_NODE ||
		    (hook == HOOK_FROM_NET && is_link_scoped(flow->destination, packet->family, hook)))
			flow->flags |= FLOW_TO_HOST;
		return;
	}
	if (destination.kind == ADDRESS_LOCAL_POD)
		flow->endpoint = destination.index;
	else if (destination.kind == ADDRESS_THIS_NODE)
		flow->flags |= FLOW_TO_HOST;
	else
		aim_through_overlay(flow, destination);
	if (hook == HOOK_FROM_POD && is_outside(destination))
		masquerade(packet, flow);
}

/* The interface that the flow leaves by, as far as that is known before a route is looked up; 0: it is not. */
static __always_inline __u32 known_exit(const struct __sk_buff *skb, const struct flow *flow, enum hook hook)
{
	struct settings *current = current_settings();
	__u32 slot = flow->endpoint;
	struct endpoint *endpoint;

	if (flow->tunnel_node)
		return current ? current->tunnel_ifindex : 0;
	if (flow->flags & FLOW_BY_STACK)
		return hook == HOOK_TO_NET ? skb->ifindex : 0;
	endpoint = slot ? bpf_map_lookup_elem(&endpoints, &slot) : NULL;
	return endpoint ? endpoint->ifindex : 0;
}

static __always_inline int enter_flow(struct __sk_buff *skb, const struct packet *packet, struct draft *draft,
				      enum hook hook)
{
	__u32 slot = opening_pod(skb, packet, find_address(&packet->tuple.source), hook);
	int reason;

	if (!may_begin(packet))
		return drop(skb, has_ports(packet->tuple.protocol) ? COUNTER_DROP_INVALID_TCP_STATE
								   : COUNTER_DROP_INVALID_ICMP);
	aim(packet, &draft->flow, hook);
	/* By way of a service it is no other. */
	if (hook == HOOK_FROM_POD &&
	    is_workload_tunnel(packet->tuple.protocol,
			       draft->flow.backend_port ? draft->flow.backend_port : draft->flow.destination_port))
		return drop(skb, COUNTER_DROP_WORKLOAD_TUNNEL);
	draft->flow.exit_ifindex = known_exit(skb, &draft->flow, hook);
	reason = admit_flow(&packet->tuple, &draft->flow, slot);
	if (reason != ADMITTED)
		return end_denied(skb, packet, reason, hook);
	reason = settle_flow(skb, &packet->tuple, draft, slot, reply_tunnel(skb, packet, draft->choice.flags, hook));
	return reason ? drop(skb, reason) : VERDICT_PROCEED;
}

/* Enters the packet's flow: VERDICT_PROCEED by it, or the verdict. */
__noinline int begin_flow(struct __sk_buff *skb, const struct packet *packet, __u32 hook)
{
	struct address_entry source, destination;
	struct draft *draft;
	bool by_stack, is_of_link;
	int result;

	if (!packet)
		return drop(skb, COUNTER_DROP_MALFORMED);
	is_of_link = is_link_scoped(packet->tuple.destination, packet->family, hook);
	if (is_of_link && !is_link_flow(skb, packet, hook))
		return pass_on_link(skb, packet, hook);
	source = find_address(&packet->tuple.source);
	destination = find_address(&packet->tuple.destination);
	if (!source_valid(skb, packet, source, hook))
		return drop(skb, COUNTER_DROP_SOURCE_ADDRESS);
	if (is_absent_pod(&packet->tuple.destination, destination))
		return drop(skb, COUNTER_DROP_NO_ENDPOINT);
	if (hook == HOOK_FROM_POD && is_workload_tunnel(packet->tuple.protocol, packet->tuple.destination_port))
		return drop(skb, COUNTER_DROP_WORKLOAD_TUNNEL);
	by_stack = is_of_link || is_host_business(packet, source, destination, hook);
	if (by_stack && !is_host_judged(skb, packet))
		return to_stack(skb);
	expire_next();
	expire_next();
	draft = current_draft();
	if (!draft || draft_opener(skb, packet, hook))
		return drop(skb, COUNTER_DROP_CONNTRACK_FULL);
	result = admit_before_nat(&packet->tuple, &draft->flow);
	if (result != ADMITTED)
		return end_denied(skb, packet, result, hook);
	result = by_stack ? leave_to_stack(draft) : balance(skb, packet, draft, hook);
	if (result == SERVICE_NONE)
		result = unserved(packet, destination);
	if (result == SERVICE_REFUSE || result < 0)
		return end_packet(skb, packet, result, hook);
	return enter_flow(skb, packet, draft, hook);
}

#endif
