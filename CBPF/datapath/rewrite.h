/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* From the tuple on the wire to the flow's translated one: addresses, ports, checksums, TTL. */
#ifndef MARTLET_REWRITE_H
#define MARTLET_REWRITE_H

#include "buffer.h"
#include "checksum.h"
#include "packet.h"

/*
 * BPF_F_IPV6 where the kernel has it (6.17), else 0: without it bpf_l4_csum_replace() spoils skb->csum of an IPv6
 * packet that a NIC has summed completely. Set by user space after probing.
 */
const volatile __u64 l4_checksum_ipv6_flag = 0;

/* Offset of the checksum in the transport header, -1 where there is none that bpf_l4_csum_replace() can mend. */
static __always_inline int transport_checksum_offset(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return offsetof(struct tcphdr, check);
	case IPPROTO_UDP:
		return offsetof(struct udphdr, check);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return offsetof(struct icmp_header, checksum);
	default:
		return -1;
	}
}

/* What the new addresses add to the transport checksum; ICMP over IPv4 does not cover them. */
static __always_inline __u64 pseudo_header_difference(const struct packet *packet, const struct flow *to)
{
	if (packet->tuple.protocol == IPPROTO_ICMP)
		return 0;
	return address_difference(packet->tuple.source, to->source) +
	       address_difference(packet->tuple.destination, to->destination);
}

/* What the new ports add. An echo has one identifier, which stands for both. */
static __always_inline __u64 ports_difference(const struct packet *packet, const struct flow *to)
{
	__u64 difference = port_difference(packet->tuple.source_port, to->source_port);

	if (has_ports(packet->tuple.protocol))
		difference += port_difference(packet->tuple.destination_port, to->destination_port);
	return difference;
}

/*
 * Where the NIC has summed the whole packet, the helper keeps that sum right as well. It asks in two calls, since an
 * offload that is still pending covers the ports by itself.
 */
static __always_inline int mend_complete_checksum(struct __sk_buff *skb, const struct packet *packet, __u32 offset,
						  const struct flow *to)
{
	__u64 pseudo_flags = packet->family == 6 ? BPF_F_PSEUDO_HDR | l4_checksum_ipv6_flag : BPF_F_PSEUDO_HDR;
	/* A UDP checksum of zero over IPv4 means none, and stays so. */
	__u64 flags = packet->tuple.protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;

	return bpf_l4_csum_replace(skb, offset, 0, checksum_fold32(pseudo_header_difference(packet, to)),
				   flags | pseudo_flags) ||
	       bpf_l4_csum_replace(skb, offset, 0, checksum_fold32(ports_difference(packet, to)), flags);
}

static __always_inline int mend_checksum(struct __sk_buff *skb, const struct packet *packet, __u32 offset,
					 const struct flow *to)
{
	bool udp = packet->tuple.protocol == IPPROTO_UDP;
	enum checksum_state state = checksum_state(skb);
	__sum16 *checksum;

	if (state == CHECKSUM_COMPLETE)
		return mend_complete_checksum(skb, packet, offset, to);
	checksum = packet_bytes(skb, offset, sizeof(*checksum));
	if (!checksum)
		return -1;
	if (udp && !*checksum)
		return 0;
	if (state == CHECKSUM_PARTIAL) {
		/* It holds the pseudo header's sum so far, not inverted. */
		*checksum = ~checksum_fold(*checksum + pseudo_header_difference(packet, to));
		return 0;
	}
	*checksum = checksum_adjust(*checksum, pseudo_header_difference(packet, to) + ports_difference(packet, to));
	if (udp && !*checksum)
		*checksum = 0xffff;
	return 0;
}

static __always_inline int rewrite_sctp(struct __sk_buff *skb, const struct packet *packet, const struct flow *to)
{
	__u32 length = packet->l3_length - (packet->l4 - packet->l3);
	__u32 change = (__u32)(packet->tuple.source_port ^ to->source_port) |
		       (__u32)(packet->tuple.destination_port ^ to->destination_port) << 16;
	__u32 difference, *checksum;

	if (!change)
		return 0;
	difference = crc32c_difference(change, length);
	checksum = packet_bytes(skb, packet->l4 + 8, sizeof(*checksum));
	if (!checksum)
		return -1;
	/* Zero while the sender's offload has yet to compute it: then it is computed over the new ports. */
	if (*checksum)
		*checksum ^= difference;
	return 0;
}

static __always_inline int rewrite_checksum(struct __sk_buff *skb, const struct packet *packet, const struct flow *to)
{
	int offset = transport_checksum_offset(packet->tuple.protocol);

	if (packet->tuple.protocol == IPPROTO_SCTP)
		return rewrite_sctp(skb, packet, to);
	return offset < 0 ? 0 : mend_checksum(skb, packet, packet->l4 + offset, to);
}

static __always_inline int rewrite_ports(struct __sk_buff *skb, const struct packet *packet, const struct flow *to)
{
	__u32 offset = packet->l4;
	__be16 *ports;

	if (has_ports(packet->tuple.protocol)) {
		ports = packet_bytes(skb, offset, 4);
		if (!ports)
			return -1;
		ports[0] = to->source_port;
		ports[1] = to->destination_port;
	} else if (packet->tuple.source_port != to->source_port) {
		ports = packet_bytes(skb, offset + offsetof(struct icmp_header, id), 2);
		if (!ports)
			return -1;
		ports[0] = to->source_port;
	}
	return 0;
}

static __always_inline int rewrite_ipv4(struct __sk_buff *skb, const struct packet *packet, const struct flow *to,
					bool decrement_ttl)
{
	struct iphdr *ip = packet_bytes(skb, packet->l3, sizeof(*ip));
	__be32 source = address_to_v4(to->source), destination = address_to_v4(to->destination);
	__u64 difference;

	if (!ip)
		return -1;
	difference = (__u64)(__u32)~ip->saddr + (__u32)~ip->daddr + source + destination;
	ip->saddr = source;
	ip->daddr = destination;
	if (decrement_ttl) {
		/* TTL is the first byte of its 16-bit word. */
		difference += (__u16)~bpf_htons(0x0100);
		ip->ttl--;
	}
	ip->check = checksum_adjust(ip->check, difference);
	return 0;
}

static __always_inline int rewrite_ipv6(struct __sk_buff *skb, const struct packet *packet, const struct flow *to,
					bool decrement_ttl)
{
	struct ipv6hdr *ip = packet_bytes(skb, packet->l3, sizeof(*ip));

	if (!ip)
		return -1;
	address_to_v6(to->source, &ip->saddr);
	address_to_v6(to->destination, &ip->daddr);
	if (decrement_ttl)
		ip->hop_limit--;
	return 0;
}

/* Writes the flow's translated tuple into the packet. -1: the packet could not be written to and must be dropped. */
static __always_inline int rewrite(struct __sk_buff *skb, const struct packet *packet, const struct flow *flow,
				   bool decrement_ttl)
{
	if (flow->flags & (FLOW_REWRITE_SOURCE | FLOW_REWRITE_DESTINATION)) {
		/* The checksum stands in the first fragment, and covers all. */
		if (packet->fragment != FRAGMENT_LATER &&
		    (rewrite_checksum(skb, packet, flow) || rewrite_ports(skb, packet, flow)))
			return -1;
	} else if (!decrement_ttl) {
		return 0;
	}
	return packet->family == 4 ? rewrite_ipv4(skb, packet, flow, decrement_ttl)
				   : rewrite_ipv6(skb, packet, flow, decrement_ttl);
}

#endif
