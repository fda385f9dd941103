/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What an address is to this node. */
#ifndef MARTLET_ADDRESS_H
#define MARTLET_ADDRESS_H

#include "packet.h"
#include "shared_maps.h"

static __always_inline struct address_entry find_address(const struct ip_address *address)
{
	struct address_entry *entry = bpf_map_lookup_elem(&addresses, address);
	struct address_entry unknown = {};

	return entry ? *entry : unknown;
}

/* Whether the address is of the world outside, as far as this node knows. */
static __always_inline bool is_outside(struct address_entry entry)
{
	return entry.kind == ADDRESS_UNKNOWN || entry.kind == ADDRESS_EXTERNAL;
}

#endif
