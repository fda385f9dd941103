/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What a packet of the tunnel between nodes brings along: who sent it and, on its way out, whom it is for. And its
 * inner Ethernet header.
 */
#ifndef MARTLET_TUNNEL_KEY_H
#define MARTLET_TUNNEL_KEY_H

#include "packet.h"

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

/* Where the packet has come from through the tunnel; false if it has not. */
static __always_inline bool read_tunnel_source(struct __sk_buff *skb, struct ip_address *address)
{
	struct bpf_tunnel_key key = {};

	if (!bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0))
		/* The helper gives IPv4 addresses in host order. */
		*address = address_from_v4(bpf_htonl(key.remote_ipv4));
	else if (!bpf_skb_get_tunnel_key(skb, &key, sizeof(key), BPF_F_TUNINFO_IPV6))
		__builtin_memcpy(address, key.remote_ipv6, sizeof(*address));
	else
		return false;
	return key.tunnel_id == TUNNEL_NETWORK;
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

#endif
