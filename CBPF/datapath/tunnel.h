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
#include "tunnel_port.h"
#include "verdict.h"

/* One network for all; it tells our tunnel's packets from others that reach the same port by mistake. */
#define TUNNEL_NETWORK 0x6d6172 /* "mar" */

/*
 * Inner Ethernet addresses, locally administered. The device has the first on every node, so that the stack accepts
 * what is addressed to it; VXLAN drops what seems to come from its own address, so the sender uses the second.
 */
#define TUNNEL_MAC_DEVICE                                                                                              \
	{                                                                                                              \
		0x02, 0x6d, 0x61, 0x72, 0x74, 0x01                                                                     \
	}
#define TUNNEL_MAC_SENDER                                                                                              \
	{                                                                                                              \
		0x02, 0x6d, 0x61, 0x72, 0x74, 0x02                                                                     \
	}

/* The tunnel's own outer packets, on their way to or from the device. */
static __always_inline bool is_tunnel_packet(const struct packet *packet)
{
	return packet->tuple.protocol == IPPROTO_UDP && packet->tuple.destination_port == bpf_htons(tunnel_port);
}

/* The index of the node that sent this packet through the tunnel; 0 if no node of the cluster did. */
__noinline __u32 tunnel_sender(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key = {};
	struct address_entry sender;
	struct ip_address address;

	if (!bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0)) {
		/* The helper gives IPv4 addresses in host order. */
		address = address_from_v4(bpf_htonl(key.remote_ipv4));
	} else if (!bpf_skb_get_tunnel_key(skb, &key, sizeof(key), BPF_F_TUNINFO_IPV6)) {
		__builtin_memcpy(&address, key.remote_ipv6, sizeof(address));
	} else {
		return 0;
	}
	if (key.tunnel_id != TUNNEL_NETWORK)
		return 0;
	sender = find_address(&address);
	return sender.kind == ADDRESS_OTHER_NODE ? sender.index : 0;
}

static __always_inline int set_tunnel_destination(struct __sk_buff *skb, struct ip_address address)
{
	struct bpf_tunnel_key key = {.tunnel_id = TUNNEL_NETWORK, .tunnel_ttl = 64};
	__u64 flags = 0;

	if (is_v4(address)) {
		key.remote_ipv4 = bpf_ntohl(address_to_v4(address));
	} else {
		flags = BPF_F_TUNINFO_IPV6;
		__builtin_memcpy(key.remote_ipv6, &address, sizeof(address));
	}
	return bpf_skb_set_tunnel_key(skb, &key, sizeof(key), flags);
}

static __always_inline int write_tunnel_link(struct __sk_buff *skb)
{
	const __u8 device[ETH_ALEN] = TUNNEL_MAC_DEVICE, sender[ETH_ALEN] = TUNNEL_MAC_SENDER;
	struct ethhdr *link = packet_bytes(skb, 0, sizeof(*link));

	if (!link)
		return -1;
	__builtin_memcpy(link->h_dest, device, ETH_ALEN);
	__builtin_memcpy(link->h_source, sender, ETH_ALEN);
	return 0;
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
