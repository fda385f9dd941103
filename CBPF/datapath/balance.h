/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * A flow in the making and its service: which backend it is aimed at, on this node or another, as whom the backend sees
 * the client, and what becomes of a packet that no service takes.
 */
#ifndef MARTLET_BALANCE_H
#define MARTLET_BALANCE_H

#include "draft.h"
#include "host_business.h"
#include "masquerade.h"
#include "prefix.h"
#include "sender.h"
#include "service.h"

/* The middle of a connection cannot be given a backend: whichever it was, it is forgotten. */
static __always_inline bool may_begin_service(const struct packet *packet)
{
	return packet->tuple.protocol != IPPROTO_TCP || packet->tcp_flags & TCP_SYN;
}

/* A pod that reaches itself through a service must not see its own address as the peer's. */
static __always_inline void avoid_hairpin(const struct packet *packet, struct flow *flow)
{
	struct ip_address own = own_address(packet);

	if (!address_equal(flow->source, flow->destination))
		return;
	flow->source = own.high || own.low >> 32 ? own : packet->tuple.destination;
	flow->flags |= FLOW_REWRITE_SOURCE;
}

static __always_inline __u32 client_at(enum hook hook)
{
	switch (hook) {
	case HOOK_FROM_NET:
		return CLIENT_OUTSIDE;
	case HOOK_FROM_TUNNEL:
		return CLIENT_TUNNELLED;
	default:
		return CLIENT_OF_NODE;
	}
}

/* An address of this node that node ports answer on; none if they answer on none. */
static __always_inline struct ip_address node_port_address(const struct packet *packet)
{
	struct settings *current = current_settings();
	struct ip_address none = {};

	if (!current)
		return none;
	return packet->family == 4 ? current->node_port4 : current->node_port6;
}

/*
 * The tuple to look the service up by. A service's node port is known on a node's own addresses alone, so what came
 * through the tunnel for another node's is looked up as if it were for ours.
 */
static __always_inline void fill_service_tuple(const struct packet *packet, struct flow_tuple *tuple, enum hook hook)
{
	*tuple = packet->tuple;
	if (hook != HOOK_FROM_TUNNEL || find_frontend(tuple) || find_prefix(&tuple->destination).flags & PREFIX_POD)
		return;
	if (find_address(&tuple->destination).kind != ADDRESS_LOCAL_POD)
		tuple->destination = node_port_address(packet);
}

/* Whether the address is the node's own, rather than one of its pods'. */
static __always_inline bool is_of_node(const struct ip_address *address, __u32 node)
{
	struct address_entry entry = find_address(address);

	return entry.kind == ADDRESS_OTHER_NODE && entry.index == node;
}

/* Whether that node can be reached through the tunnel: endpoints may name one of which there is no object, or not yet.
 */
static __always_inline bool is_known_node(__u32 index)
{
	struct node *node = bpf_map_lookup_elem(&nodes, &index);

	return node && (node->address.high || node->address.low);
}

/*
 * A client outside whose backend is on another node: its packets go there as they are, so that the pod sees who sent
 * them. Where it is not known on which node, or the client is that node itself, which would take them for forged, the
 * reply has to return through this one, and the pod sees this node.
 */
static __always_inline bool aim_elsewhere(const struct packet *packet, struct flow *flow,
					  const struct service_choice *choice)
{
	__u32 kind = find_address(&choice->backend.address).kind, node = choice->backend.node;

	if (kind == ADDRESS_LOCAL_POD || kind == ADDRESS_THIS_NODE)
		return false;
	if (node && is_known_node(node) && !is_of_node(&packet->tuple.source, node)) {
		flow->tunnel_node = node;
		flow->flags |= FLOW_ONE_WAY | (choice->flags & FRONTEND_DSR ? FLOW_DIRECT_RETURN : 0);
		flow->backend = choice->backend.address;
		flow->backend_port = choice->backend.port;
		return true;
	}
	flow->source = own_address(packet);
	flow->flags |= FLOW_REWRITE_SOURCE;
	return false;
}

/*
 * A process of this node that asks by an address on the loopback interface has that address for its source, and others
 * may have it as well, as of a load balancer: replies find back to the node's own alone.
 */
static __always_inline void avoid_shared_source(const struct packet *packet, struct flow *flow, enum hook hook)
{
	struct ip_address own = own_address(packet);

	if (hook != HOOK_TO_NET ||
	    (!address_equal(packet->tuple.source, packet->tuple.destination) && !is_loopback(packet->tuple.source)) ||
	    address_equal(packet->tuple.source, own) || !(own.high || own.low >> 32))
		return;
	flow->source = own;
	flow->flags |= FLOW_REWRITE_SOURCE;
}

/* Who opens the flow, for session affinity: a pod or the host by where it is, anybody else by the address. */
static __always_inline struct ip_address affinity_client(const struct __sk_buff *skb, const struct packet *packet,
							 enum hook hook)
{
	bool is_local = hook == HOOK_FROM_POD ? find_address(&packet->tuple.source).kind == ADDRESS_LOCAL_POD
					      : is_from_host(skb, packet, hook);

	return is_local ? client_behind(input_of(skb, hook), &packet->tuple.destination) : packet->tuple.source;
}

/* Aims the drafted flow at a backend; or says how the packet ends. */
static __always_inline int balance(const struct __sk_buff *skb, const struct packet *packet, struct draft *draft,
				   enum hook hook)
{
	struct service_choice *choice = &draft->choice;
	struct flow *flow = &draft->flow;
	int result;

	fill_service_tuple(packet, &draft->asked, hook);
	choice->client = affinity_client(skb, packet, hook);
	result = choose_backend(&draft->asked, client_at(hook), choice);
	if (result != SERVICE_CHOSEN)
		return result;
	if (!may_begin_service(packet))
		return -COUNTER_DROP_INVALID_TCP_STATE;
	flow->service = choice->service;
	if (hook == HOOK_FROM_NET && aim_elsewhere(packet, flow, choice))
		return SERVICE_CHOSEN;
	flow->destination = choice->backend.address;
	flow->destination_port = choice->backend.port;
	flow->flags |= FLOW_REWRITE_DESTINATION;
	avoid_shared_source(packet, flow, hook);
	avoid_hairpin(packet, flow);
	return SERVICE_CHOSEN;
}

/*
 * A packet that no frontend answers at: for a service's address refused on a known one, else dropped, never looped.
 * What another node has sent here goes no further than to this one and its pods.
 */
static __always_inline int unserved(const struct packet *packet, struct address_entry destination, enum hook hook)
{
	if (destination.kind == ADDRESS_SERVICE)
		return has_ports(packet->tuple.protocol) ? SERVICE_REFUSE : -COUNTER_DROP_SERVICE_ADDRESS;
	if (destination.kind == ADDRESS_EXTERNAL && is_ping(packet))
		return -COUNTER_DROP_SERVICE_ADDRESS;
	if (destination.kind == ADDRESS_UNKNOWN && find_prefix(&packet->tuple.destination).flags & PREFIX_SERVICE)
		return -COUNTER_DROP_SERVICE_ADDRESS;
	if (hook == HOOK_FROM_TUNNEL && destination.kind != ADDRESS_LOCAL_POD && destination.kind != ADDRESS_THIS_NODE)
		return -COUNTER_DROP_NO_LOCAL_BACKEND;
	return SERVICE_NONE;
}

#endif
