/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Sending a packet of a known flow on its way. */
#ifndef MARTLET_FORWARD_H
#define MARTLET_FORWARD_H

#include "admission.h"
#include "draft.h"
#include "flow.h"
#include "forward_errors.h"
#include "rewrite.h"
#include "tunnel.h"
#include "verdict.h"

#ifndef AF_INET
#define AF_INET	 2
#define AF_INET6 10
#endif

/*
 * A cached next hop lasts until user space sees routes or neighbours change, and about a second at most: one packet a
 * second takes the kernel's own path, which keeps the neighbour's entry alive and works with no agent running.
 */
static __always_inline __u32 route_epoch(void)
{
	struct settings *current = current_settings();

	return (current ? current->route_generation : 0) + (__u32)(ticks() >> 8);
}

static __always_inline int write_link_addresses(struct __sk_buff *skb, const struct flow *flow)
{
	struct ethhdr *link = packet_bytes(skb, 0, sizeof(*link));

	if (!link)
		return -1;
	__builtin_memcpy(link->h_dest, flow->output_destination_mac, ETH_ALEN);
	__builtin_memcpy(link->h_source, flow->output_source_mac, ETH_ALEN);
	return 0;
}

static __always_inline void fill_route_query(struct bpf_fib_lookup *query, struct __sk_buff *skb,
					     const struct packet *packet, const struct flow *flow)
{
	__u32 length = wire_length(skb, packet);

	*query = (struct bpf_fib_lookup){};
	query->ifindex = skb->ifindex;
	query->l4_protocol = packet->tuple.protocol;
	query->sport = flow->source_port;
	query->dport = flow->destination_port;
	/* Never 0, with which the kernel would tell the interface's MTU in place of the route's. */
	query->tot_len = length < 0xffff ? length : 0xffff;
	if (packet->family == 4) {
		query->family = AF_INET;
		query->ipv4_src = address_to_v4(flow->source);
		query->ipv4_dst = address_to_v4(flow->destination);
	} else {
		query->family = AF_INET6;
		__builtin_memcpy(query->ipv6_src, &flow->source, 16);
		__builtin_memcpy(query->ipv6_dst, &flow->destination, 16);
	}
}

/*
 * Looks up the next hop. Whether a packet fits the kernel says before it names the interface, so for one that does not
 * it is asked once more, whatever the length. Where it names none, the interface is EXIT_UNKNOWN.
 */
static __always_inline long find_route(struct __sk_buff *skb, const struct packet *packet, const struct flow *flow,
				       struct bpf_fib_lookup *route)
{
	long result, last;
	__u16 mtu;

	fill_route_query(route, skb, packet, flow);
	last = result = bpf_fib_lookup(skb, route, sizeof(*route), 0);
	if (result == BPF_FIB_LKUP_RET_FRAG_NEEDED) {
		mtu = route->mtu_result;
		route->tot_len = 0;
		last = bpf_fib_lookup(skb, route, sizeof(*route), 0);
		route->mtu_result = mtu;
	}
	if (last != BPF_FIB_LKUP_RET_SUCCESS && last != BPF_FIB_LKUP_RET_NO_NEIGH &&
	    last != BPF_FIB_LKUP_RET_FRAG_NEEDED)
		route->ifindex = EXIT_UNKNOWN;
	return result;
}

static __always_inline void cache_next_hop(struct flow *flow, const struct bpf_fib_lookup *route)
{
	flow->output_mtu = route->mtu_result;
	__builtin_memcpy(flow->output_destination_mac, route->dmac, ETH_ALEN);
	__builtin_memcpy(flow->output_source_mac, route->smac, ETH_ALEN);
	flow->output_ifindex = route->ifindex;
	flow->route_generation = route_epoch();
}

/* Asks the kernel for the next hop, caches it in the flow, and sends this packet by the kernel's neighbour code. */
__noinline int route_flow(struct __sk_buff *skb, const struct packet *packet, struct flow *flow, __u32 hook)
{
	struct draft *draft = current_draft();
	struct bpf_redir_neigh hop = {};
	struct bpf_fib_lookup *route;
	long result;
	int denied;

	if (!packet || !flow || !draft)
		return drop(skb, COUNTER_DROP_NO_ROUTE);
	route = &draft->route;
	result = find_route(skb, packet, flow, route);
	denied = admit_exit(&packet->tuple, flow, route->ifindex);
	if (denied != ADMITTED)
		return end_denied(skb, packet, denied, hook);
	switch (result) {
	case BPF_FIB_LKUP_RET_SUCCESS:
		cache_next_hop(flow, route);
		break;
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		break;
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
		if (may_go_in_pieces(skb, packet, hook))
			break;
		return reply_too_big(skb, packet, route->mtu_result, hook);
	case BPF_FIB_LKUP_RET_BLACKHOLE:
	case BPF_FIB_LKUP_RET_UNREACHABLE:
	case BPF_FIB_LKUP_RET_PROHIBIT:
		return drop(skb, COUNTER_DROP_NO_ROUTE);
	default:
		result = BPF_FIB_LKUP_RET_NOT_FWDED;
	}
	if (rewrite(skb, packet, flow,
		    !from_stack(hook) && result != BPF_FIB_LKUP_RET_NOT_FWDED &&
			    result != BPF_FIB_LKUP_RET_FRAG_NEEDED))
		return drop(skb, COUNTER_DROP_REWRITE_FAILED);
	if (result == BPF_FIB_LKUP_RET_NOT_FWDED || result == BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return through_stack(skb);
	decide(skb);
	/*
	 * A packet of the stack's brings the route to whom it was for before translation, and once its neighbour is
	 * known would be sent to that route's (neigh_update() in net/core/neighbour.c): have the right one looked up.
	 */
	if (from_stack(hook))
		return bpf_redirect_neigh(route->ifindex, NULL, 0, 0);
	/* Where the route has a gateway, the lookup has put its address, and family, in place of the destination's. */
	hop.nh_family = route->family;
	__builtin_memcpy(hop.ipv6_nh, route->ipv6_dst, 16);
	return bpf_redirect_neigh(route->ifindex, &hop, sizeof(hop), 0);
}

static __always_inline int forward_to_net(struct __sk_buff *skb, const struct packet *packet, struct flow *flow,
					  enum hook hook)
{
	if (!flow->output_ifindex || flow->route_generation != route_epoch() ||
	    wire_length(skb, packet) > flow->output_mtu)
		return route_flow(skb, packet, flow, hook);
	if (rewrite(skb, packet, flow, !from_stack(hook)) || write_link_addresses(skb, flow))
		return drop(skb, COUNTER_DROP_REWRITE_FAILED);
	decide(skb);
	return bpf_redirect(flow->output_ifindex, 0);
}

static __always_inline int forward_to_pod(struct __sk_buff *skb, const struct packet *packet, const struct flow *flow,
					  enum hook hook)
{
	__u32 slot = flow->endpoint;
	struct endpoint *endpoint = bpf_map_lookup_elem(&endpoints, &slot);
	bool fits;

	if (!endpoint || !endpoint->ifindex)
		return drop(skb, COUNTER_DROP_NO_ENDPOINT);
	fits = wire_length(skb, packet) <= endpoint->mtu;
	if (!fits && !may_go_in_pieces(skb, packet, hook))
		return reply_too_big(skb, packet, endpoint->mtu, hook);
	if (rewrite(skb, packet, flow, fits && !from_stack(hook)))
		return drop(skb, COUNTER_DROP_REWRITE_FAILED);
	if (!fits || hook == HOOK_TO_POD)
		return through_stack(skb);
	if (hook == HOOK_TO_NET) {
		decide(skb);
		return bpf_redirect_neigh(endpoint->ifindex, NULL, 0, 0);
	}
	return bpf_redirect_peer(endpoint->ifindex, 0);
}

/* A process of the host may be sent to another, by a service whose address the kernel routes to the network. */
static __always_inline int forward_to_host(struct __sk_buff *skb, const struct packet *packet, const struct flow *flow,
					   enum hook hook)
{
	if (rewrite(skb, packet, flow, false))
		return drop(skb, COUNTER_DROP_REWRITE_FAILED);
	if (is_on_loopback(skb))
		return to_stack(skb);
	return flow->flags & FLOW_LOOPBACK || from_stack(hook) ? through_loopback(skb) : to_stack(skb);
}

/*
 * A packet that the stack forwards as it is. What only passes through the host is seen twice: where it comes in, the
 * interface that it leaves by may not be known yet.
 */
__noinline int forward_by_stack(struct __sk_buff *skb, const struct packet *packet, struct flow *flow, __u32 hook)
{
	int denied;

	if (!packet || !flow)
		return drop(skb, COUNTER_DROP_HOST_POLICY);
	if (flow->flags & FLOW_TO_HOST)
		return to_stack(skb);
	if (!from_stack(hook))
		return flow->flags & FLOW_OPENER && !flow->exit_ifindex ? to_stack(skb) : through_stack(skb);
	denied = admit_exit(&packet->tuple, flow, skb->ifindex);
	return denied == ADMITTED ? to_stack(skb) : end_denied(skb, packet, denied, hook);
}

static __always_inline int forward(struct __sk_buff *skb, const struct packet *packet, struct flow *flow,
				   enum hook hook)
{
	if (flow->flags & FLOW_BY_STACK)
		return forward_by_stack(skb, packet, flow, hook);
	if (flow->flags & FLOW_TO_HOST)
		return forward_to_host(skb, packet, flow, hook);
	if (packet->ttl <= 1 && !from_stack(hook))
		return reply_time_exceeded(skb, packet, hook);
	/* Also to a pod of this node, where its flow goes by way of another. */
	if (flow->tunnel_node)
		return forward_to_tunnel(skb, packet, flow, hook);
	if (flow->endpoint)
		return forward_to_pod(skb, packet, flow, hook);
	return forward_to_net(skb, packet, flow, hook);
}

#endif
