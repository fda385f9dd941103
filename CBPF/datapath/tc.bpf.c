// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The tc hooks. Every packet takes the same road: parse it, find its flow, and forward it as the flow says. What is out
 * of the ordinary - a new flow, the begin or end of a connection, an ICMP error, a fragment - goes through slow_path().
 */
#include "confirm.h"
#include "expiry.h"
#include "flow.h"
#include "forward.h"
#include "fragment.h"
#include "icmp_error.h"
#include "new_flow.h"
#include "parse.h"
#include "returned.h"
#include "socket_namespace.h"
#include "stale.h"
#include "untracked.h"

const char datapath_license[] SEC("license") = "GPL";

/*
 * Neighbour discovery and group membership belong to the link; the stack answers them. Whoever receives them asks for a
 * hop limit that no router lets through (RFC 4861 7.1, RFC 2710 3), and so do we: nothing else may pass for them.
 */
static __always_inline bool is_link_control(const struct packet *packet)
{
	if (packet->tuple.protocol != IPPROTO_ICMPV6)
		return false;
	if (packet->icmp_type >= ICMPV6_DISCOVERY_FIRST && packet->icmp_type <= ICMPV6_DISCOVERY_LAST)
		return packet->ttl == 255;
	return ((packet->icmp_type >= ICMPV6_MLD_FIRST && packet->icmp_type <= ICMPV6_MLD_LAST) ||
		packet->icmp_type == ICMPV6_MLD2_REPORT) &&
	       packet->ttl == 1;
}

/* A frame of somebody else's, which the NIC sees while something listens to all: the stack drops it. */
static __always_inline bool is_for_others(const struct __sk_buff *skb, enum hook hook)
{
	return hook == HOOK_FROM_NET && skb->pkt_type == PACKET_OTHERHOST;
}

/* Whether node ports answer on loopback addresses; set by user space. */
const volatile __u32 serves_loopback = 0;

/* A packet that changes nothing about a confirmed flow, coming from where the flow's packets come from, under the
 * policies and services that the flow was decided by. */
static __always_inline bool is_ordinary(const struct __sk_buff *skb, const struct packet *packet,
					const struct flow *flow, enum hook hook)
{
	if (packet->fragment != FRAGMENT_NONE || !comes_from(skb, flow->input_ifindex, hook) || is_outdated(flow))
		return false;
	switch (packet->tuple.protocol) {
	case IPPROTO_TCP:
		return !(packet->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST));
	case IPPROTO_SCTP:
		return packet->sctp_chunk == 0 || packet->sctp_chunk == 3;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return !packet_is_icmp_error(packet);
	default:
		return !is_superseded(&packet->tuple, flow);
	}
}

/* Records a change of state in both halves. */
static __always_inline void change_state(struct flow *flow, struct flow *other, __u8 state)
{
	flow->state = other->state = state;
}

/* The packet that opens a connection. */
static __always_inline bool opens_connection(const struct packet *packet)
{
	if (packet->tuple.protocol == IPPROTO_SCTP)
		return packet->sctp_chunk == SCTP_INIT;
	return packet->tuple.protocol == IPPROTO_TCP && (packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* A new connection on the tuple of one that has ended. */
static __always_inline bool is_recycled(const struct packet *packet, const struct flow *flow)
{
	return opens_connection(packet) && flow->state >= FLOW_CLOSING;
}

/* A connection that is opened by who has answered on its tuple so far: no part of the flow, whatever becomes of that.
 */
static __always_inline bool opens_other_way(const struct packet *packet, const struct flow *flow)
{
	return opens_connection(packet) && !(flow->flags & FLOW_OPENER);
}

/*
 * The opener asks again, and nobody has answered: while a service's endpoints move, the node that the first packet was
 * sent to may have had none any more, or not yet. Whoever serves it now is chosen anew. Where answers go directly to
 * the client, one may be on its way, and another backend would know nothing of the connection.
 */
static __always_inline bool may_choose_again(const struct packet *packet, const struct flow *flow)
{
	return opens_connection(packet) && (flow->flags & (FLOW_ONE_WAY | FLOW_DIRECT_RETURN)) == FLOW_ONE_WAY &&
	       flow->state == FLOW_NEW;
}

/*
 * The opener has answered the answer; which may have gone another way, so that only the opener is heard again. A SYN
 * that is sent again answers nothing: a flood of them from forged addresses must not fill the confirmed flows.
 */
static __always_inline bool may_confirm(const struct packet *packet, const struct flow *flow)
{
	if (!(flow->flags & FLOW_OPENER) || packet->tcp_flags & (TCP_SYN | TCP_RST))
		return false;
	return flow->state == FLOW_REPLIED || flow->state == FLOW_ESTABLISHED || flow->flags & FLOW_ONE_WAY;
}

/*
 * A packet of a known flow that may change it. The half that a flood has evicted from the unconfirmed flows is not
 * missed: the opener's next packet begins the flow anew.
 */
__noinline int continue_flow(struct __sk_buff *skb, const struct packet *packet, struct flow *flow)
{
	struct flow_tuple partner;
	struct flow *other;
	bool confirms;
	__u8 state;

	if (!packet || !flow)
		return -1;
	partner = partner_tuple(&packet->tuple, flow);
	other = find_flow(&partner);
	if (!other || is_recycled(packet, flow) || may_choose_again(packet, flow) ||
	    (is_idle(&packet->tuple, flow) && is_idle(&partner, other))) {
		remove_flow(&packet->tuple, flow);
		return -1;
	}
	if (is_implausible_end(packet, flow))
		return 0;
	confirms = may_confirm(packet, flow);
	state = next_state(packet, flow, other);
	touch(packet, flow);
	if (state != flow->state)
		change_state(flow, other, state);
	if (confirms)
		confirm_flow(skb, &packet->tuple);
	return 0;
}

/*
 * Packets of flows that are not confirmed, that change their flow, or that have none: VERDICT_PROCEED once their flow
 * is entered and up to date, or the verdict.
 */
__noinline int slow_path(struct __sk_buff *skb, struct packet *packet, __u32 hook)
{
	bool is_error, has_moved;
	struct flow *flow;
	int result;

	if (!packet)
		return drop(skb, COUNTER_DROP_MALFORMED);
	if (hook == HOOK_FROM_POD)
		remember_namespace(skb);
	if (packet->fragment != FRAGMENT_NONE) {
		result = pass_fragment(skb, packet, hook);
		if (result != VERDICT_PROCEED)
			return result;
	}
	if (hook == HOOK_FROM_NET && is_tunnel_arrival(&packet->tuple))
		return to_stack(skb);
	is_error = packet_is_icmp_error(packet);
	flow = is_error ? NULL : find_flow_at(skb, &packet->tuple, hook);
	has_moved = flow && !comes_from(skb, flow->input_ifindex, hook);
	/* Through the tunnel an error returns as its flow's packets do: from this node's own address. */
	if ((has_moved || (is_error && hook != HOOK_FROM_TUNNEL)) && !may_send(skb, packet, hook))
		return drop(skb, COUNTER_DROP_SOURCE_ADDRESS);
	if (is_error)
		return prepare_icmp_error(skb, packet, hook);
	if (flow && has_moved) {
		/* To another interface, or the address to another pod. */
		remove_flow(&packet->tuple, flow);
		flow = NULL;
	}
	if (flow && is_stale(&packet->tuple, flow)) {
		remove_flow(&packet->tuple, flow);
		flow = NULL;
	}
	if (flow && !is_recycled(packet, flow)) {
		result = judge_again(&packet->tuple, flow);
		if (result != ADMITTED && !opens_other_way(packet, flow))
			return end_denied(skb, packet, result, hook);
		/* A rejected one is gone already. */
		if (result > 0)
			remove_flow(&packet->tuple, flow);
		if (result != ADMITTED)
			flow = NULL;
	}
	if (flow && !continue_flow(skb, packet, flow))
		return VERDICT_PROCEED;
	return begin_flow(skb, packet, hook);
}

static __always_inline int handle(struct __sk_buff *skb, enum hook hook)
{
	struct packet packet = {};
	struct flow *flow;
	__u32 stages;
	int result;

	if (is_decided(skb) || is_for_others(skb, hook))
		return to_stack(skb);
	count(skb, COUNTER_FROM_POD + hook);
	/* Of another network, which the kernel has taken the tag of: pods have none, and the host's is not ours. */
	if (skb->vlan_present)
		return hook == HOOK_FROM_POD ? drop(skb, COUNTER_DROP_NOT_IP) : to_stack(skb);
	result = parse(skb, &packet);
	if (result == PARSE_PASS || (result == COUNTER_DROP_NOT_IP && hook != HOOK_FROM_POD))
		return to_stack(skb);
	if (result)
		return drop(skb, result);
	if (hook == HOOK_FROM_NET && packet.fragment == FRAGMENT_NONE && is_tunnel_arrival(&packet.tuple))
		return to_stack(skb);
	if (hook == HOOK_FROM_TUNNEL && !tunnel_sender(skb) && !comes_in_again(skb, &packet, hook))
		return drop(skb, COUNTER_DROP_TUNNEL_SOURCE);
	/* What the host says to itself by loopback addresses is nobody else's business, but for node ports. */
	if (hook == HOOK_TO_NET && is_loopback(packet.tuple.source) &&
	    !(serves_loopback && (find_frontend(&packet.tuple) || find_flow(&packet.tuple))))
		return to_stack(skb);
	stages = untracked_stages(hook);
	if (stages && !is_link_control(&packet)) {
		result = pass_untracked(skb, &packet, hook, stages);
		if (result != VERDICT_PROCEED)
			return result;
	}
	flow = find_confirmed(&packet.tuple);
	if (flow && is_ordinary(skb, &packet, flow, hook)) {
		touch(&packet, flow);
	} else {
		if (is_link_control(&packet)) {
			if (hook == HOOK_FROM_POD)
				remember_namespace(skb);
			return to_stack(skb);
		}
		result = slow_path(skb, &packet, hook);
		if (result != VERDICT_PROCEED)
			return result;
		flow = packet_is_icmp_error(&packet) ? draft_flow() : find_flow(&packet.tuple);
	}
	if (!flow)
		return drop(skb, COUNTER_DROP_CONNTRACK_FULL);
	return forward(skb, &packet, flow, hook);
}

/* A packet that a pod sends. */
SEC("tc") int from_pod(struct __sk_buff *skb)
{
	return handle(skb, HOOK_FROM_POD);
}

/* A packet that the host's stack sends to a pod. */
SEC("tc") int to_pod(struct __sk_buff *skb)
{
	return handle(skb, HOOK_TO_POD);
}

/* A packet that arrives at a NIC. */
SEC("tc") int from_net(struct __sk_buff *skb)
{
	return handle(skb, HOOK_FROM_NET);
}

/* A packet that the host's stack sends through a NIC. */
SEC("tc") int to_net(struct __sk_buff *skb)
{
	return handle(skb, HOOK_TO_NET);
}

/* A packet that another node has sent through the tunnel. */
SEC("tc") int from_tunnel(struct __sk_buff *skb)
{
	return handle(skb, HOOK_FROM_TUNNEL);
}

/*
 * A packet that the host's stack sends to itself, at egress of the loopback interface: a node port of its own is a
 * service like any other.
 */
SEC("tc") int to_host(struct __sk_buff *skb)
{
	return handle(skb, HOOK_TO_NET);
}

/* As many as one call looks at, so that it is short. */
#define EXPIRE_BATCH 4096

/* Looks at confirmed flows that are due. User space runs it; it returns how many there were, at most EXPIRE_BATCH. */
SEC("tc") int expire(struct __sk_buff *skb)
{
	int i;

	for (i = 0; i < EXPIRE_BATCH; i++)
		if (!expire_next())
			break;
	return i;
}

/*
 * What a policy set says of the packet as it is: enum policy_action, or 0. User space runs it, to explain or to try a
 * policy: the set's id is the packet's mark, and the id of the rule that decided comes back in the control block.
 */
SEC("tc") int judge_packet(struct __sk_buff *skb)
{
	struct policy_scratch *scratch = current_policy_scratch();
	struct packet packet = {};
	int action;

	if (!scratch || parse(skb, &packet))
		return POLICY_DENY;
	describe_packet(&scratch->subject, &packet);
	action = judge(&scratch->subject, skb->mark);
	skb->cb[0] = scratch->subject.rule;
	return action;
}
