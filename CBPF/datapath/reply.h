/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Answers that the datapath makes itself: TCP resets and ICMP errors, sent back to where the packet came from. The
 * packet's own buffer becomes the answer.
 */
#ifndef MARTLET_REPLY_H
#define MARTLET_REPLY_H

#include "checksum.h"
#include "counter.h"
#include "maps.h"
#include "tunnel_key.h"
#include "verdict.h"

/* As much of the offending packet as fits one bpf_csum_diff(): RFC 1812 wants up to 548 bytes, RFC 4443 up to 1,232. */
#define QUOTE_MAX 512

struct reply_packet {
	__u8 bytes[ETH_HLEN + 2 + sizeof(struct ipv6hdr) + sizeof(struct icmp_header) + QUOTE_MAX];
	__u8 reserved[6];
};

/* Scratch for answers only; the path of a packet that goes on never touches it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct reply_packet);
} reply_scratch SEC(".maps");

/* An ICMP error in both families' numbers. */
struct icmp_error {
	struct ip_address source; /* whom it comes from */
	__u8 type4;
	__u8 code4;
	__u8 type6;
	__u8 code6;
	__u32 mtu; /* of "fragmentation needed" and "packet too big", else 0 */
};

/*
 * The sum of the pseudo header of a packet with `length` transport bytes. IPv4's constant prefix adds 0xffff, which is
 * zero in these sums.
 */
static __always_inline __u64 pseudo_header_sum(struct ip_address source, struct ip_address destination, __u8 protocol,
					       __u32 length)
{
	struct ip_address zero = {};

	return address_difference(zero, source) + address_difference(zero, destination) + bpf_htonl(length) +
	       bpf_htonl(protocol);
}

/* The network header of an answer with `length` transport bytes; returns its size. */
static __always_inline __u32 write_network_header(__u8 *to, const struct packet *packet, struct ip_address source,
						  __u8 protocol, __u32 length)
{
	if (packet->family == 4) {
		struct iphdr *ip = (void *)to;
		struct iphdr header = {
			.version = 4,
			.ihl = sizeof(header) / 4,
			.tot_len = bpf_htons(sizeof(header) + length),
			.frag_off = bpf_htons(0x4000), /* don't fragment */
			.ttl = 64,
			.protocol = protocol,
			.saddr = address_to_v4(source),
			.daddr = address_to_v4(packet->tuple.source),
		};

		*ip = header;
		ip->check = checksum_fold((__u32)bpf_csum_diff(NULL, 0, (__be32 *)to, sizeof(*ip), 0));
		return sizeof(*ip);
	} else {
		struct ipv6hdr *ip = (void *)to;
		struct ipv6hdr header = {
			.version = 6,
			.payload_len = bpf_htons(length),
			.nexthdr = protocol,
			.hop_limit = 64,
		};

		address_to_v6(source, &header.saddr);
		address_to_v6(packet->tuple.source, &header.daddr);
		*ip = header;
		return sizeof(*ip);
	}
}

/*
 * Makes room for exactly `length` bytes that owe nothing to the original: a checksum that the sender left to an offload
 * is still pending in the buffer and would be written into the answer. Cutting away the place where it starts cancels
 * it (skb_postpull_rcsum() in include/linux/skbuff.h), and resizing the tail ends segmentation.
 */
static __always_inline int reset_buffer(struct __sk_buff *skb, __u32 length)
{
	const __u32 room = 160, cut = 100;

	return bpf_skb_change_tail(skb, ETH_HLEN + room, 0) ||
	       bpf_skb_adjust_room(skb, -(__s32)cut, BPF_ADJ_ROOM_MAC, 0) || bpf_skb_change_tail(skb, length, 0);
}

/* Through the tunnel to the node that sent the packet. */
static __always_inline int send_back_through_tunnel(struct __sk_buff *skb)
{
	struct ip_address node;

	if (!read_tunnel_source(skb, &node) || write_tunnel_link(skb) || set_tunnel_destination(skb, node))
		return drop(skb, COUNTER_DROP_REPLY_FAILED);
	decide(skb);
	return bpf_redirect(skb->ifindex, 0);
}

/* Where the packet came from, by the link it came on: with Ethernet addresses swapped it arrives there. */
static __always_inline int send_back(struct __sk_buff *skb, enum hook hook)
{
	if (is_on_loopback(skb))
		return through_loopback(skb);
	if (hook == HOOK_FROM_TUNNEL)
		return send_back_through_tunnel(skb);
	decide(skb);
	return bpf_redirect(skb->ifindex, from_stack(hook) ? BPF_F_INGRESS : 0);
}

/* Writes the Ethernet header of the answer: the packet's own, turned round. */
static __always_inline int write_link_header(struct __sk_buff *skb, __u8 *to)
{
	struct ethhdr link;

	if (bpf_skb_load_bytes(skb, 0, &link, sizeof(link)))
		return -1;
	__builtin_memcpy(to, link.h_source, ETH_ALEN);
	__builtin_memcpy(to + ETH_ALEN, link.h_dest, ETH_ALEN);
	__builtin_memcpy(to + 2 * ETH_ALEN, &link.h_proto, 2);
	return 0;
}

static __always_inline struct reply_packet *reply_buffer(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&reply_scratch, &zero);
}

/* Answers a TCP segment with the reset that RFC 9293 3.10.7.1 wants for a connection that does not exist. */
__noinline int reply_with_reset(struct __sk_buff *skb, const struct packet *packet, __u32 hook)
{
	struct reply_packet *reply = reply_buffer();
	struct ip_address source;
	struct tcphdr *tcp, asked;
	__u32 size;

	if (!packet || !reply || bpf_skb_load_bytes(skb, packet->l4, &asked, sizeof(asked)))
		return drop(skb, COUNTER_DROP_REPLY_FAILED);
	if (asked.rst)
		return drop(skb, COUNTER_DROP_INVALID_TCP_STATE);
	if (write_link_header(skb, reply->bytes + 2))
		return drop(skb, COUNTER_DROP_REPLY_FAILED);
	source = packet->tuple.destination;
	size = write_network_header(reply->bytes + 2 + ETH_HLEN, packet, source, IPPROTO_TCP, sizeof(*tcp));
	tcp = (void *)reply->bytes + 2 + ETH_HLEN +
	      (packet->family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
	*tcp = (struct tcphdr){
		.source = asked.dest,
		.dest = asked.source,
		.doff = sizeof(*tcp) / 4,
		.rst = 1,
	};
	if (asked.ack) {
		tcp->seq = asked.ack_seq;
	} else {
		tcp->ack = 1;
		tcp->ack_seq = bpf_htonl(packet->sequence_end + asked.syn + asked.fin);
	}
	tcp->check = checksum_fold((__u32)bpf_csum_diff(NULL, 0, (__be32 *)tcp, sizeof(*tcp), 0) +
				   pseudo_header_sum(source, packet->tuple.source, IPPROTO_TCP, sizeof(*tcp)));
	size += ETH_HLEN + sizeof(*tcp);
	if (reset_buffer(skb, size) || bpf_skb_store_bytes(skb, 0, reply->bytes + 2, size, BPF_F_INVALIDATE_HASH))
		return drop(skb, COUNTER_DROP_REPLY_FAILED);
	return send_back(skb, hook);
}

static __always_inline void write_icmp_header(struct icmp_header *icmp, const struct packet *packet,
					      const struct icmp_error *error)
{
	/* IPv4 keeps the MTU in the lower half of the word that is IPv6's whole. */
	*icmp = (struct icmp_header){
		.type = packet->family == 4 ? error->type4 : error->type6,
		.code = packet->family == 4 ? error->code4 : error->code6,
		.id = bpf_htons(error->mtu >> 16),
		.sequence = bpf_htons(error->mtu),
	};
}

/* Answers with an ICMP error that quotes the packet. Never called for an ICMP error. */
__noinline int reply_with_icmp(struct __sk_buff *skb, const struct packet *packet, const struct icmp_error *error,
			       __u32 hook)
{
	struct reply_packet *reply = reply_buffer();
	struct icmp_header *icmp;
	__u32 quote, header, total;
	__u64 sum;
	__u8 protocol;

	if (!packet || !error || !reply || write_link_header(skb, reply->bytes + 2))
		return drop(skb, COUNTER_DROP_REPLY_FAILED);
	/* Whole words: at most three bytes short. */
	quote = packet->l3_length & ~3;
	if (quote > QUOTE_MAX)
		quote = QUOTE_MAX;
	protocol = packet->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	header = packet->family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	icmp = (void *)reply->bytes + 2 + ETH_HLEN + header;
	if (!quote || bpf_skb_load_bytes(skb, ETH_HLEN, icmp + 1, quote))
		return drop(skb, COUNTER_DROP_REPLY_FAILED);
	write_network_header(reply->bytes + 2 + ETH_HLEN, packet, error->source, protocol, sizeof(*icmp) + quote);
	write_icmp_header(icmp, packet, error);
	sum = (__u32)bpf_csum_diff(NULL, 0, (__be32 *)(icmp + 1), quote, 0);
	sum += (__u32)bpf_csum_diff(NULL, 0, (__be32 *)icmp, sizeof(*icmp), 0);
	if (packet->family == 6)
		sum += pseudo_header_sum(error->source, packet->tuple.source, protocol, sizeof(*icmp) + quote);
	icmp->checksum = checksum_fold(sum);
	total = ETH_HLEN + header + sizeof(*icmp) + quote;
	if (reset_buffer(skb, total) || bpf_skb_store_bytes(skb, 0, reply->bytes + 2, total, BPF_F_INVALIDATE_HASH))
		return drop(skb, COUNTER_DROP_REPLY_FAILED);
	return send_back(skb, hook);
}

/* Nobody serves this: the client is to know at once. Of fragments the first alone is answered (RFC 1122 3.2.2). */
static __always_inline int refuse(struct __sk_buff *skb, const struct packet *packet, enum hook hook)
{
	struct icmp_error error = {
		.source = packet->tuple.destination,
		.type4 = ICMP_DEST_UNREACH,
		.code4 = ICMP_PORT_UNREACH,
		.type6 = ICMPV6_DEST_UNREACH,
		.code6 = ICMPV6_PORT_UNREACH,
	};

	if (packet->fragment == FRAGMENT_LATER)
		return drop(skb, COUNTER_DROP_REFUSED_FRAGMENT);
	count(skb, COUNTER_REFUSED);
	if (packet->tuple.protocol == IPPROTO_TCP)
		return reply_with_reset(skb, packet, hook);
	return reply_with_icmp(skb, packet, &error, hook);
}

/* Ends a packet of a flow that policy does not admit. */
static __always_inline int end_denied(struct __sk_buff *skb, const struct packet *packet, int result, enum hook hook)
{
	if (result > 0)
		return drop(skb, result);
	/* Nobody answers an error, or what may be the middle of anything. */
	if (packet->fragment == FRAGMENT_LATER || packet_is_icmp_error(packet))
		return drop(skb, -result);
	return refuse(skb, packet, hook);
}

#endif
