/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * From bytes to struct packet. A packet that is cut short or contradicts itself is told apart from one that is none of
 * our business; neither is ever read as something else.
 */
#ifndef MARTLET_PARSE_H
#define MARTLET_PARSE_H

#include "counter.h"
#include "ipv6_walk.h"
#include "packet.h"

/* What parse() says: go on, leave the packet to the host's stack, or drop it for this reason (a counter). */
enum {
	PARSE_OK = 0,
	PARSE_PASS = -1,
};

struct sctp_header {
	__be16 source;
	__be16 destination;
	__be32 verification_tag;
	__le32 checksum;
	__u8 chunk_type;
	__u8 chunk_flags;
	__be16 chunk_length;
};

/* Makes the first `size` bytes linear where the driver left them in fragments. */
static __always_inline void *pull(struct __sk_buff *skb, __u32 offset, __u32 size)
{
	void *bytes = packet_bytes(skb, offset, size);

	if (bytes || offset + size > skb->len || bpf_skb_pull_data(skb, offset + size))
		return bytes;
	return packet_bytes(skb, offset, size);
}

/* The length that the header states, or the buffer's if that is too large for the field (BIG TCP writes 0). */
static __always_inline __u32 stated_length(const struct __sk_buff *skb, __u32 stated, __u32 unstated)
{
	return stated == unstated && skb->gso_segs ? skb->len - ETH_HLEN : stated;
}

static __always_inline int parse_ipv4(struct __sk_buff *skb, struct packet *packet)
{
	struct iphdr *ip = pull(skb, packet->l3, sizeof(*ip));
	__u32 header;
	__u16 fragment;

	if (!ip)
		return COUNTER_DROP_TRUNCATED;
	header = ip->ihl * 4;
	if (ip->version != 4 || header < sizeof(*ip))
		return COUNTER_DROP_MALFORMED;
	packet->l3_length = stated_length(skb, bpf_ntohs(ip->tot_len), 0);
	if (packet->l3_length > skb->len - packet->l3)
		return COUNTER_DROP_TRUNCATED;
	if (packet->l3_length < header)
		return COUNTER_DROP_MALFORMED;
	fragment = bpf_ntohs(ip->frag_off);
	packet->identification = ip->id;
	if (fragment & 0x1fff)
		packet->fragment = FRAGMENT_LATER;
	else if (fragment & 0x2000)
		packet->fragment = FRAGMENT_FIRST;
	packet->ttl = ip->ttl;
	packet->l4 = packet->l3 + header;
	packet->tuple.protocol = ip->protocol;
	packet->tuple.source = address_from_v4(ip->saddr);
	packet->tuple.destination = address_from_v4(ip->daddr);
	return PARSE_OK;
}

/* Steps over one extension header. 1: stepped; 0: `next` is the transport protocol; -1: cut short. */
static __always_inline int ipv6_step(struct __sk_buff *skb, struct ipv6_walk *walk)
{
	__u8 head[8];

	if (!ipv6_is_extension(walk->next))
		return 0;
	return bpf_skb_load_bytes(skb, walk->offset, head, sizeof(head)) ? -1 : ipv6_step_over(walk, head);
}

/* Global, so that the walk is verified once and the common packet without extension headers does not pay for it. */
__noinline int walk_ipv6_extensions(struct __sk_buff *skb, struct ipv6_walk *walk)
{
	int i, step = 1;

	if (!walk)
		return -1;
	for (i = 0; i < IPV6_EXTENSIONS_MAX && step == 1; i++)
		step = ipv6_step(skb, walk);
	if (step == 1)
		step = ipv6_step(skb, walk) ? -1 : 0;
	return step;
}

static __always_inline int parse_ipv6(struct __sk_buff *skb, struct packet *packet)
{
	struct ipv6hdr *ip = pull(skb, packet->l3, sizeof(*ip));
	struct ipv6_walk walk = {.offset = packet->l3 + sizeof(*ip)};

	if (!ip)
		return COUNTER_DROP_TRUNCATED;
	if (ip->version != 6)
		return COUNTER_DROP_MALFORMED;
	packet->l3_length = stated_length(skb, bpf_ntohs(ip->payload_len) + sizeof(*ip), sizeof(*ip));
	if (packet->l3_length > skb->len - packet->l3)
		return COUNTER_DROP_TRUNCATED;
	packet->ttl = ip->hop_limit;
	packet->tuple.source = address_from_v6(&ip->saddr);
	packet->tuple.destination = address_from_v6(&ip->daddr);
	/* Such addresses are IPv4's to us, and belong on no wire. */
	if (is_v4(packet->tuple.source) || is_v4(packet->tuple.destination))
		return COUNTER_DROP_MALFORMED;
	walk.next = ip->nexthdr;
	if (ipv6_is_extension(walk.next) && walk_ipv6_extensions(skb, &walk))
		return COUNTER_DROP_MALFORMED;
	if (walk.offset - packet->l3 > packet->l3_length)
		return COUNTER_DROP_TRUNCATED;
	if (walk.offset + sizeof(struct tcphdr) > HEADERS_MAX)
		return COUNTER_DROP_MALFORMED;
	packet->fragment = walk.fragment;
	packet->identification = walk.identification;
	packet->l4 = walk.offset;
	packet->tuple.protocol = walk.next;
	return PARSE_OK;
}

/* Flag combinations that no stack sends. */
static __always_inline bool tcp_flags_valid(__u8 flags)
{
	switch (flags & (TCP_SYN | TCP_FIN | TCP_RST)) {
	case TCP_SYN:
	case TCP_RST:
		return true;
	case TCP_FIN:
	case 0:
		return flags & TCP_ACK;
	default:
		return false;
	}
}

static __always_inline int parse_tcp(struct __sk_buff *skb, struct packet *packet, __u32 length)
{
	struct tcphdr *tcp = pull(skb, packet->l4, sizeof(*tcp));

	if (!tcp || length < sizeof(*tcp))
		return COUNTER_DROP_TRUNCATED;
	packet->tuple.source_port = tcp->source;
	packet->tuple.destination_port = tcp->dest;
	packet->tcp_flags = ((__u8 *)tcp)[13];
	packet->sequence_end = bpf_ntohl(tcp->seq) + length - tcp->doff * 4;
	if (tcp->doff * 4 < sizeof(*tcp) || !tcp_flags_valid(packet->tcp_flags))
		return COUNTER_DROP_MALFORMED;
	return tcp->doff * 4 > length ? COUNTER_DROP_TRUNCATED : PARSE_OK;
}

static __always_inline int parse_udp(struct __sk_buff *skb, struct packet *packet, __u32 length)
{
	struct udphdr *udp = pull(skb, packet->l4, sizeof(*udp));
	__u32 stated;

	if (!udp || length < sizeof(*udp))
		return COUNTER_DROP_TRUNCATED;
	packet->tuple.source_port = udp->source;
	packet->tuple.destination_port = udp->dest;
	stated = bpf_ntohs(udp->len);
	if (packet->fragment != FRAGMENT_NONE || skb->gso_segs)
		return PARSE_OK;
	if (stated < sizeof(*udp))
		return COUNTER_DROP_MALFORMED;
	return stated > length ? COUNTER_DROP_TRUNCATED : PARSE_OK;
}

static __always_inline int parse_sctp(struct __sk_buff *skb, struct packet *packet, __u32 length)
{
	struct sctp_header *sctp = pull(skb, packet->l4, sizeof(*sctp));

	if (!sctp || length < sizeof(*sctp))
		return COUNTER_DROP_TRUNCATED;
	packet->tuple.source_port = sctp->source;
	packet->tuple.destination_port = sctp->destination;
	packet->sctp_chunk = sctp->chunk_type;
	return sctp->source && sctp->destination ? PARSE_OK : COUNTER_DROP_MALFORMED;
}

static __always_inline int parse_icmp(struct __sk_buff *skb, struct packet *packet, __u32 length)
{
	/* ICMPv6 has the same first eight bytes. */
	struct icmp_header *icmp = pull(skb, packet->l4, sizeof(*icmp));

	if (!icmp || length < sizeof(*icmp))
		return COUNTER_DROP_TRUNCATED;
	packet->icmp_type = icmp->type;
	packet->icmp_code = icmp->code;
	fill_icmp_tuple(&packet->tuple, icmp->type, icmp->id);
	return PARSE_OK;
}

static __always_inline int parse_transport(struct __sk_buff *skb, struct packet *packet)
{
	__u32 length = packet->l3_length - (packet->l4 - packet->l3);

	if (packet->fragment == FRAGMENT_LATER)
		return PARSE_OK;
	switch (packet->tuple.protocol) {
	case IPPROTO_TCP:
		return parse_tcp(skb, packet, length);
	case IPPROTO_UDP:
		return parse_udp(skb, packet, length);
	case IPPROTO_SCTP:
		return parse_sctp(skb, packet, length);
	case IPPROTO_ICMP:
		return packet->family == 4 ? parse_icmp(skb, packet, length) : COUNTER_DROP_MALFORMED;
	case IPPROTO_ICMPV6:
		return packet->family == 6 ? parse_icmp(skb, packet, length) : COUNTER_DROP_MALFORMED;
	default:
		return PARSE_OK;
	}
}

/* PARSE_OK with `packet` filled, PARSE_PASS, or the counter to drop it under. */
static __always_inline int parse(struct __sk_buff *skb, struct packet *packet)
{
	int result;

	packet->l3 = ETH_HLEN;
	switch (skb->protocol) {
	case bpf_htons(ETH_P_IP):
		packet->family = 4;
		result = parse_ipv4(skb, packet);
		break;
	case bpf_htons(ETH_P_IPV6):
		packet->family = 6;
		result = parse_ipv6(skb, packet);
		break;
	case bpf_htons(ETH_P_ARP):
		return PARSE_PASS;
	default:
		return COUNTER_DROP_NOT_IP;
	}
	return result == PARSE_OK ? parse_transport(skb, packet) : result;
}

#endif
