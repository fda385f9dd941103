/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What a range of addresses is to this node. */
#ifndef MARTLET_PREFIX_H
#define MARTLET_PREFIX_H

#include "maps.h"

/* As find_prefix(), with the node in the upper half. Global, to keep the key out of its callers' stacks. */
__noinline __u64 look_up_prefix(const struct ip_address *address)
{
	struct ip_prefix key = {.length = 128};
	struct prefix_entry *entry;

	if (!address)
		return 0;
	__builtin_memcpy(key.address, address, sizeof(key.address));
	entry = bpf_map_lookup_elem(&prefixes, &key);
	return entry ? (__u64)entry->node << 32 | entry->flags : 0;
}

static __always_inline struct prefix_entry find_prefix(const struct ip_address *address)
{
	__u64 entry = look_up_prefix(address);

	return (struct prefix_entry){.flags = entry, .node = entry >> 32};
}

#endif
