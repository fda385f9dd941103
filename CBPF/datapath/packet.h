/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What is known of the packet in hand, and how to reach its bytes. */
#ifndef MARTLET_PACKET_H
#define MARTLET_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "icmp.h"
#include "layout/conntrack.h"

#ifndef IPPROTO_SCTP
#define IPPROTO_SCTP 132
#endif

/* The hook a program runs at. Directions say where the packet comes from or goes to. */
enum hook {
	HOOK_FROM_POD,	  /* tc ingress of a pod's veth: the pod sends */
	HOOK_TO_POD,	  /* tc egress of a pod's veth: the host's stack sends to the pod */
	HOOK_FROM_NET,	  /* tc ingress of a NIC */
	HOOK_TO_NET,	  /* tc egress of a NIC: the host's stack sends to the network */
	HOOK_FROM_TUNNEL, /* tc ingress of the VXLAN device: another node sends */
};

/* Bits of packet.tcp_flags, as in the header's 14th byte. */
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

enum fragment {
	FRAGMENT_NONE = 0,
	FRAGMENT_FIRST = 1, /* has the transport header */
	FRAGMENT_LATER = 2, /* has no transport header */
};

struct packet {
	struct flow_tuple tuple; /* before translation */
	__u16 l3;		 /* offset of the network header */
	__u16 l4;		 /* offset of the transport header */
	__u32 l3_length;	 /* bytes from the network header to the packet's end, without link-layer padding */
	__u32 sequence_end;	 /* TCP: one past the last sequence number, host order */
	__u32 identification;	 /* of fragments, as on the wire */
	__u8 family;		 /* 4 or 6 */
	__u8 ttl;		 /* or hop limit */
	__u8 fragment;		 /* enum fragment */
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 sctp_chunk; /* type of the first chunk */
	__u8 icmp_code;
	__u8 has_passed_fragments; /* 1: a fragment whose datagram is known, as are its ports */
};

#define ADDRESS_V4_PREFIX __bpf_constant_cpu_to_be64(0x0000ffff00000000ULL)
#define ADDRESS_V4_MASK	  __bpf_constant_cpu_to_be64(0xffffffff00000000ULL)

static __always_inline struct ip_address address_from_v4(__be32 address)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (struct ip_address){.low = (__u64)address << 32 | ADDRESS_V4_PREFIX};
#else
	return (struct ip_address){.low = address | ADDRESS_V4_PREFIX};
#endif
}

static __always_inline __be32 address_to_v4(struct ip_address address)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return address.low >> 32;
#else
	return (__u32)address.low;
#endif
}

/* Whether it is an IPv4 address. */
static __always_inline bool is_v4(struct ip_address address)
{
	return !address.high && (address.low & ADDRESS_V4_MASK) == ADDRESS_V4_PREFIX;
}

static __always_inline bool address_equal(struct ip_address a, struct ip_address b)
{
	return a.high == b.high && a.low == b.low;
}

static __always_inline bool is_loopback(struct ip_address address)
{
	__u64 low = bpf_be64_to_cpu(address.low);

	/* 127.0.0.0/8 in the mapped form, or ::1. */
	return !address.high && (low >> 24 == 0xffff7f || low == 1);
}

static __always_inline struct ip_address address_from_v6(const struct in6_addr *address)
{
	struct ip_address result;

	__builtin_memcpy(&result, address, sizeof(result));
	return result;
}

static __always_inline void address_to_v6(struct ip_address address, struct in6_addr *result)
{
	__builtin_memcpy(result, &address, sizeof(*result));
}

static __always_inline void *packet_start(const struct __sk_buff *skb)
{
	return (void *)(long)skb->data;
}

static __always_inline void *packet_end(const struct __sk_buff *skb)
{
	return (void *)(long)skb->data_end;
}

/* Headers end within this many bytes of the packet's start; parse() sees to it. A power of two. */
#define HEADERS_MAX 2048

/*
 * A pointer to `size` bytes at `offset`, which the program may read and write; NULL if they are not there. The mask and
 * the barrier are for the verifier, which must see a small offset and the comparison as they stand.
 */
static __always_inline void *packet_bytes(struct __sk_buff *skb, __u32 offset, __u32 size)
{
	void *bytes;

	offset &= HEADERS_MAX - 1;
	bytes = packet_start(skb) + offset;
	if (bytes + size > packet_end(skb))
		return NULL;
	barrier_var(bytes);
	return bytes;
}

static __always_inline bool has_ports(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

/* ICMP messages that quote the packet they are about. */
static __always_inline bool packet_is_icmp_error(const struct packet *packet)
{
	switch (packet->tuple.protocol) {
	case IPPROTO_ICMP:
		return packet->icmp_type == ICMP_DEST_UNREACH || packet->icmp_type == ICMP_TIME_EXCEEDED ||
		       packet->icmp_type == ICMP_PARAMETER_PROBLEM;
	case IPPROTO_ICMPV6:
		return packet->icmp_type >= ICMPV6_DEST_UNREACH && packet->icmp_type <= ICMPV6_PARAMETER_PROBLEM;
	default:
		return false;
	}
}

/* Messages that end something or change somebody's routes: they begin no flow, nor does the link's own business. */
static __always_inline bool is_icmp_notice(const struct packet *packet)
{
	__u8 type = packet->icmp_type;

	if (packet->tuple.protocol == IPPROTO_ICMP)
		return packet_is_icmp_error(packet) || type == ICMP_SOURCE_QUENCH || type == ICMP_REDIRECT;
	return type < ICMPV6_ECHO_REQUEST || (type >= ICMPV6_MLD_FIRST && type <= ICMPV6_DISCOVERY_LAST) ||
	       type == ICMPV6_MLD2_REPORT;
}

/* The type of the question that an ICMP message is the answer to; its own type if it is none. */
static __always_inline __u8 icmp_question(__u8 protocol, __u8 type)
{
	if (protocol == IPPROTO_ICMPV6)
		return type == ICMPV6_ECHO_REPLY || type == ICMPV6_NODE_REPLY ? type - 1 : type;
	if (type == ICMP_ECHO_REPLY)
		return ICMP_ECHO;
	return type > ICMP_TIMESTAMP && type <= ICMP_ADDRESS_MASK_REPLY && !(type & 1) ? type - 1 : type;
}

static __always_inline bool is_echo(__u8 protocol, __u8 question)
{
	return question == (protocol == IPPROTO_ICMPV6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO);
}

static __always_inline bool is_icmp(__u8 protocol)
{
	return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

/* Whether a question of this type, and its answer, have an identifier by which they are told from others. */
static __always_inline bool has_icmp_id(__u8 protocol, __u8 question)
{
	return is_echo(protocol, question) ||
	       (protocol == IPPROTO_ICMP && question >= ICMP_TIMESTAMP && question <= ICMP_ADDRESS_MASK_REPLY);
}

/* Fills the part of an ICMP message's tuple that tells its question, or the one that it answers, from others. */
static __always_inline void fill_icmp_tuple(struct flow_tuple *tuple, __u8 type, __be16 id)
{
	__u8 question = icmp_question(tuple->protocol, type);

	tuple->icmp_answer = question != type;
	if (has_icmp_id(tuple->protocol, question))
		tuple->source_port = tuple->destination_port = id;
	if (!is_echo(tuple->protocol, question))
		tuple->icmp_query = question;
}

#endif
