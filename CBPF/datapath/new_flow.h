/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * A flow's first packet: who sends, whom it is for, and which backend serves it; then the flow is entered.
 */
#ifndef MARTLET_NEW_FLOW_H
#define MARTLET_NEW_FLOW_H

#include "admission.h"
#include "balance.h"
#include "create_flow.h"
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

static __always_inline int end_packet(struct __sk_buff *skb, const struct packet *packet, int result, enum hook hook)
{
	return result == SERVICE_REFUSE ? refuse(skb, packet, hook) : drop(skb, -result);
}

/* The interface that a packet has come in by; 0: the host sends it. */
static __always_inline __u32 entry_of(struct __sk_buff *skb, const struct packet *packet, enum hook hook)
{
	if (hook == HOOK_FROM_TUNNEL)
		return tunnel_interface(tunnel_sender(skb));
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
			 (is_from_host(skb, packet, hook) ? FLOW_FROM_HOST : 0) |
			 (hook == HOOK_FROM_TUNNEL ? FLOW_TUNNELLED : 0) |
			 (packet->tuple.zone == ZONE_RETURNED ? FLOW_RETURNED : 0),
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

/*
 * Where the replies of a flow that came through the tunnel go: back through it, or directly where the service says so
 * and the client is neither this node nor one of its pods.
 */
static __always_inline __u32 reply_tunnel(struct __sk_buff *skb, const struct packet *packet, __u32 service_flags,
					  enum hook hook)
{
	/* A pod that another node lets reach this one as itself: the network knows no way back to it. */
	if (hook == HOOK_FROM_NET && has_overlay())
		return find_prefix(&packet->tuple.source).node;
	if (hook != HOOK_FROM_TUNNEL)
		return 0;
	if (service_flags & FRONTEND_DSR && packet->tuple.zone != ZONE_RETURNED &&
	    !(find_prefix(&packet->tuple.source).flags & PREFIX_NO_DSR))
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
	__u32 slot = flow->endpoint;
	struct endpoint *endpoint;

	if (flow->tunnel_node)
		return tunnel_interface(flow->tunnel_node);
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
	/* A fragment that has been held does not say who has sent it, and begins nothing. */
	if (hook == HOOK_FROM_TUNNEL && !tunnel_sender(skb))
		return drop(skb, COUNTER_DROP_TUNNEL_SOURCE);
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
		result = unserved(packet, destination, hook);
	if (result == SERVICE_REFUSE || result < 0)
		return end_packet(skb, packet, result, hook);
	return enter_flow(skb, packet, draft, hook);
}

#endif
