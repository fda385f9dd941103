/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The tunnel between nodes: a VXLAN device of the kernel that takes its destination from the packet (collect metadata),
 * so that one device serves all nodes. What goes through it is the packet as the client sent it; the node that has the
 * backend translates it, and so sees the client.
 */
#ifndef MARTLET_TUNNEL_H
#define MARTLET_TUNNEL_H

#include "address.h"
#include "forward_errors.h"
#include "rewrite.h"
#include "tunnel_key.h"
#include "tunnel_port.h"
#include "verdict.h"

/* The tunnel's own outer packets, on their way to or from the device. */
static __always_inline bool is_tunnel_packet(const struct packet *packet)
{
	return is_tunnel_tuple(&packet->tuple);
}

/* The index of the node that sent this packet through the tunnel; 0 if no node of the cluster did. */
__noinline __u32 tunnel_sender(struct __sk_buff *skb)
{
	struct address_entry sender;
	struct ip_address address;

	if (!read_tunnel_source(skb, &address))
		return 0;
	sender = find_address(&address);
	return sender.kind == ADDRESS_OTHER_NODE ? sender.index : 0;
}

/*
 * The interface that the tunnel's packets to a node leave by, and come from it by: to policy the tunnel is none of its
 * own. The tunnel's where nobody knows.
 */
__noinline __u32 tunnel_interface(__u32 index)
{
	struct node *node = bpf_map_lookup_elem(&nodes, &index);
	struct settings *current = current_settings();

	if (node && node->ifindex)
		return node->ifindex;
	return current ? current->tunnel_ifindex : 0;
}

/*
 * What may be cut up is, outside: the receiver's stack puts it together before it comes out of the tunnel. The same
 * goes for a fragment, which nobody would send again; but an IPv6 header outside is one that the kernel does not do it
 * with.
 */
static __always_inline bool may_fragment_outside(struct __sk_buff *skb, const struct packet *packet,
						 const struct node *node)
{
	if (may_fragment(skb, packet))
		return true;
	return packet->fragment != FRAGMENT_NONE && !node->address.high;
}

/* Sends the packet, translated as the flow says, to the flow's node. */
__noinline int forward_to_tunnel(struct __sk_buff *skb, const struct packet *packet, const struct flow *flow,
				 __u32 hook)
{
	struct settings *current = current_settings();
	struct ip_address address;
	struct node *node;
	__u32 index;

	if (!packet || !flow || !current)
		return drop(skb, COUNTER_DROP_NO_ROUTE);
	index = flow->tunnel_node;
	node = bpf_map_lookup_elem(&nodes, &index);
	if (!node || !node->mtu || !current->tunnel_ifindex)
		return drop(skb, COUNTER_DROP_NO_ROUTE);
	if (wire_length(skb, packet) > node->mtu && !may_fragment_outside(skb, packet, node))
		return reply_too_big(skb, packet, node->mtu, hook);
	address = node->address;
	if (rewrite(skb, packet, flow, !from_stack(hook)) || write_tunnel_link(skb) ||
	    set_tunnel_destination(skb, address))
		return drop(skb, COUNTER_DROP_REWRITE_FAILED);
	decide(skb);
	return bpf_redirect(current->tunnel_ifindex, 0);
}

#endif
