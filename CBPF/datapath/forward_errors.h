/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What a router tells the sender of a packet that it cannot forward. */
#ifndef MARTLET_FORWARD_ERRORS_H
#define MARTLET_FORWARD_ERRORS_H

#include "maps.h"
#include "reply.h"
#include "verdict.h"

/* In skb->gso_size: the buffer is a list of SCTP packets, which have lengths of their own (include/linux/skbuff.h). */
#define GSO_BY_FRAGS 0xffff

/* Bytes of the transport header that each segment of the buffer gets, TCP's with its options. */
static __always_inline __u32 segment_header_length(struct __sk_buff *skb, const struct packet *packet)
{
	const __u32 offset_of_length = 12;
	__u8 *length;

	if (packet->tuple.protocol != IPPROTO_TCP)
		return sizeof(struct udphdr);
	length = packet_bytes(skb, packet->l4 + offset_of_length, sizeof(*length));
	return length ? (*length >> 4) * 4 : sizeof(struct tcphdr);
}

/*
 * The longest packet that this buffer becomes on the wire, from the network header on. SCTP's packets cannot be
 * measured here, and count as short: their sender has made them for the path.
 */
static __always_inline __u32 wire_length(struct __sk_buff *skb, const struct packet *packet)
{
	__u32 segment = skb->gso_size, header = packet->l4 - packet->l3;

	if (!segment)
		return packet->l3_length;
	if (segment == GSO_BY_FRAGS)
		return header;
	return header + segment_header_length(skb, packet) + segment;
}

static __always_inline struct ip_address own_address(const struct packet *packet)
{
	struct settings *current = current_settings();
	struct ip_address none = {};

	if (!current)
		return none;
	return packet->family == 4 ? current->node4 : current->node6;
}

/* TTL ran out here: an error from this node, as a router sends it. */
__noinline int reply_time_exceeded(struct __sk_buff *skb, const struct packet *packet, __u32 hook)
{
	struct icmp_error error = {
		.type4 = ICMP_TIME_EXCEEDED,
		.type6 = ICMPV6_TIME_EXCEEDED,
	};

	if (!packet || packet_is_icmp_error(packet) || packet->fragment == FRAGMENT_LATER)
		return drop(skb, COUNTER_DROP_TTL);
	count(skb, COUNTER_DROP_TTL);
	error.source = own_address(packet);
	return reply_with_icmp(skb, packet, &error, hook);
}

/* The packet does not fit the next hop: an error from whom the sender believes to talk to. */
__noinline int reply_too_big(struct __sk_buff *skb, const struct packet *packet, __u32 mtu, __u32 hook)
{
	struct icmp_error error = {
		.type4 = ICMP_DEST_UNREACH,
		.code4 = ICMP_FRAG_NEEDED,
		.type6 = ICMPV6_PACKET_TOO_BIG,
		.mtu = mtu,
	};

	if (!packet || packet_is_icmp_error(packet) || packet->fragment == FRAGMENT_LATER)
		return drop(skb, COUNTER_DROP_TOO_BIG);
	count(skb, COUNTER_DROP_TOO_BIG);
	error.source = packet->tuple.destination;
	return reply_with_icmp(skb, packet, &error, hook);
}

/* May a router cut this packet up? */
static __always_inline bool may_fragment(struct __sk_buff *skb, const struct packet *packet)
{
	struct iphdr *ip;

	if (packet->family == 6)
		return false;
	ip = packet_bytes(skb, packet->l3, sizeof(*ip));
	return ip && !(ip->frag_off & bpf_htons(0x4000));
}

/*
 * Likewise, and can the stack do it, and forward the pieces? One that comes from the stack is on its way out already,
 * by an interface that was chosen for whom it was for before translation.
 */
static __always_inline bool may_go_in_pieces(struct __sk_buff *skb, const struct packet *packet, enum hook hook)
{
	return !from_stack(hook) && may_fragment(skb, packet);
}

#endif
