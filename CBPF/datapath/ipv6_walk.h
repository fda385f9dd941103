/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* From an IPv6 header to the transport header, over what stands between them. */
#ifndef MARTLET_IPV6_WALK_H
#define MARTLET_IPV6_WALK_H

#include "packet.h"

#define IPV6_EXTENSIONS_MAX 8

struct ipv6_walk {
	__u32 offset; /* of the header to look at */
	__u8 next;    /* its kind */
	__u8 fragment;
	__u8 reserved[2];
	__u32 identification;
};

static __always_inline bool ipv6_is_extension(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS || next == IPPROTO_AH ||
	       next == IPPROTO_FRAGMENT;
}

/* Steps over the extension header that begins with `head`. 1: stepped; 0: no more after it is one. */
static __always_inline int ipv6_step_over(struct ipv6_walk *walk, const __u8 head[8])
{
	if (walk->next == IPPROTO_FRAGMENT) {
		__u16 fragment = head[2] << 8 | head[3];

		__builtin_memcpy(&walk->identification, head + 4, 4);

		if (fragment & 0xfff8)
			walk->fragment = FRAGMENT_LATER;
		else if (fragment & 1)
			walk->fragment = FRAGMENT_FIRST;
		walk->offset += 8;
	} else if (walk->next == IPPROTO_AH) {
		walk->offset += (head[1] + 2) * 4;
	} else {
		walk->offset += (head[1] + 1) * 8;
	}
	walk->next = head[0];
	/* What follows a later fragment's header is payload, whatever it looks like. */
	return walk->fragment == FRAGMENT_LATER ? 0 : 1;
}

#endif
