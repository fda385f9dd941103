/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What a range of addresses is to this node. */
#ifndef MARTLET_PREFIX_H
#define MARTLET_PREFIX_H

#include "maps.h"

static __always_inline struct prefix_entry find_prefix(const struct ip_address *address)
{
	struct ip_prefix key = {.length = 128};
	struct prefix_entry *entry, unknown = {};

	__builtin_memcpy(key.address, address, sizeof(key.address));
	entry = bpf_map_lookup_elem(&prefixes, &key);
	return entry ? *entry : unknown;
}

#endif
