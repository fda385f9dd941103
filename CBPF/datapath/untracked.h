/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What comes before connections are tracked: senders that are not heard at all, and policies that judge each packet by
 * itself. Nothing but fragments leaves anything behind here, so that a flood costs no memory.
 */
#ifndef MARTLET_UNTRACKED_H
#define MARTLET_UNTRACKED_H

#include "address.h"
#include "fragment.h"
#include "host_business.h"
#include "host_endpoint.h"
#include "icmp_error.h"
#include "reply.h"
#include "sender.h"

/* Which of it is asked at this hook: bits of enum untracked_stage. */
static __always_inline __u32 untracked_stages(enum hook hook)
{
	__u32 own = hook == HOOK_FROM_NET ? UNTRACKED_BLOCKED | UNTRACKED_INGRESS
		    : hook == HOOK_TO_NET ? UNTRACKED_EGRESS
					  : 0;

	return own ? current_policy_version() >> POLICY_VERSION_UNTRACKED_SHIFT & own : 0;
}

/* The packet as it is on the wire. */
static __always_inline void describe_packet(struct policy_subject *subject, const struct packet *packet)
{
	subject->tuple = packet->tuple;
	subject->icmp = packet->icmp_type << 8 | packet->icmp_code;
	subject->family = packet->family;
	subject->known = 0;
	subject->version = current_policy_version();
}

/* Whether the host itself sends or receives the packet, rather than somebody through it. */
static __always_inline bool is_of_host(const struct __sk_buff *skb, const struct packet *packet, enum hook hook)
{
	return from_stack(hook) ? is_from_host(skb, packet, hook)
				: find_address(&packet->tuple.destination).kind == ADDRESS_THIS_NODE;
}

/* What the policies say of a packet: enum policy_action, or 0; by policies that were not changed meanwhile. */
static __always_inline int judge_packet_untracked(struct __sk_buff *skb, const struct packet *packet,
						  struct policy_scratch *scratch, enum hook hook, bool of_host)
{
	int action = 0, i;

	for (i = 0; i < 2; i++) {
		describe_packet(&scratch->subject, packet);
		action = judge_untracked(scratch, skb->ifindex, from_stack(hook), of_host);
		if (!is_overtaken(&scratch->subject))
			break;
	}
	return action;
}

/*
 * Whether a packet from or to one of the host's addresses is not the host's alone: a service's, an answer to a pod that
 * has left with that address, an error about either, or between the host and a pod behind the tunnel.
 */
static __always_inline bool is_of_flow(struct __sk_buff *skb, const struct packet *packet, enum hook hook)
{
	struct flow *flow;

	if (packet_is_icmp_error(packet))
		return is_related_error(skb, packet, hook);
	flow = find_flow(&packet->tuple);
	if (flow)
		return !(flow->flags & FLOW_BY_STACK);
	return !is_host_business(packet, find_address(&packet->tuple.source), find_address(&packet->tuple.destination),
				 hook);
}

/*
 * VERDICT_PROCEED, or the verdict. What is allowed is final for the host's own traffic, which nobody tracks or judges
 * any more; what has a flow, or is to have one, does. A later fragment is judged by the ports of its first
 * one, which is remembered unless it is dropped. The tunnel between nodes is never closed.
 */
__noinline int pass_untracked(struct __sk_buff *skb, struct packet *packet, __u32 hook, __u32 stages)
{
	struct policy_scratch *scratch = current_policy_scratch();
	int action, result = VERDICT_PROCEED;
	bool of_host;

	if (!packet || !scratch || is_on_loopback(skb))
		return VERDICT_PROCEED;
	if (stages & UNTRACKED_BLOCKED && is_blocked(&packet->tuple.source))
		return drop(skb, COUNTER_DROP_BLOCKED);
	if (!(stages & ~UNTRACKED_BLOCKED))
		return VERDICT_PROCEED;
	if (packet->fragment == FRAGMENT_LATER)
		result = pass_fragment(skb, packet, hook);
	if (result != VERDICT_PROCEED)
		return result;
	if (hook == HOOK_FROM_NET && is_tunnel_arrival(&packet->tuple))
		return VERDICT_PROCEED;
	of_host = is_of_host(skb, packet, hook);
	action = judge_packet_untracked(skb, packet, scratch, hook, of_host);
	if (action && action != POLICY_ALLOW)
		return end_denied(skb, packet, admission(action, COUNTER_DROP_HOST_POLICY), hook);
	if (packet->fragment == FRAGMENT_FIRST)
		result = pass_fragment(skb, packet, hook);
	if (result != VERDICT_PROCEED)
		return result;
	return action == POLICY_ALLOW && of_host && !is_of_flow(skb, packet, hook) ? to_stack(skb) : VERDICT_PROCEED;
}

#endif
