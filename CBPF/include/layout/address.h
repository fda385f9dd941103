/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#ifndef MARTLET_LAYOUT_ADDRESS_H
#define MARTLET_LAYOUT_ADDRESS_H

#include <linux/types.h>

/*
 * Rules for every header in this folder, enforced at build or load: no unions, no bit-fields, no flexible arrays, no
 * implicit padding. Swift imports these structs and the kernel hashes their bytes.
 */

/* An IPv6 address, or an IPv4 address as ::ffff:a.b.c.d. Network byte order. */
struct ip_address {
	__be64 high; /* bytes 0 to 7 */
	__be64 low;  /* bytes 8 to 15; IPv4 is in the last four */
};

/* Key of a longest-prefix-match trie over addresses. */
struct ip_prefix {
	__u32 length; /* bits of `address` that count, 0 to 128; IPv4 prefixes are 96 longer than as written */
	__u8 address[16];
};

#endif
