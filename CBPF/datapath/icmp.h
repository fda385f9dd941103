/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * ICMP (RFC 792) and ICMPv6 (RFC 4443) in the terms that both share. <linux/icmp.h> is of no use here: it includes the
 * C library's socket header, which has no BPF flavour.
 */
#ifndef MARTLET_ICMP_H
#define MARTLET_ICMP_H

#include <linux/types.h>

struct icmp_header {
	__u8 type;
	__u8 code;
	__sum16 checksum;
	__be16 id;	 /* of an echo, and of other questions and their answers */
	__be16 sequence; /* likewise; with the id, one word of other types' own */
};

enum icmp_type {
	ICMP_ECHO_REPLY = 0,
	ICMP_DEST_UNREACH = 3,
	ICMP_SOURCE_QUENCH = 4,
	ICMP_REDIRECT = 5,
	ICMP_ECHO = 8,
	ICMP_TIME_EXCEEDED = 11,
	ICMP_PARAMETER_PROBLEM = 12,
	ICMP_TIMESTAMP = 13, /* from here on, each question is followed by its answer */
	ICMP_ADDRESS_MASK_REPLY = 18,
};

enum icmp_unreachable_code {
	ICMP_PORT_UNREACH = 3,
	ICMP_FRAG_NEEDED = 4,
};

enum icmpv6_type {
	ICMPV6_DEST_UNREACH = 1,
	ICMPV6_PACKET_TOO_BIG = 2,
	ICMPV6_TIME_EXCEEDED = 3,
	ICMPV6_PARAMETER_PROBLEM = 4,
	ICMPV6_ECHO_REQUEST = 128,
	ICMPV6_ECHO_REPLY = 129,
	ICMPV6_MLD_FIRST = 130, /* group membership */
	ICMPV6_MLD_LAST = 132,
	ICMPV6_DISCOVERY_FIRST = 133, /* of routers and neighbours */
	ICMPV6_DISCOVERY_LAST = 137,
	ICMPV6_NODE_QUERY = 139, /* RFC 4620 */
	ICMPV6_NODE_REPLY = 140,
	ICMPV6_MLD2_REPORT = 143,
};

enum icmpv6_unreachable_code {
	ICMPV6_PORT_UNREACH = 4,
};

#endif
