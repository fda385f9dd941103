/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What UDP flows rest on no longer. */
#ifndef MARTLET_REVOCATION_H
#define MARTLET_REVOCATION_H

#include "shared_maps.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 15);
	__type(key, struct revocation_key);
	__type(value, __u32);
} revocations SEC(".maps");

/* Whether it has ended since the services were of this generation. */
static __always_inline bool is_revoked_since(const struct revocation_key *key, __u32 generation)
{
	__u32 *since = bpf_map_lookup_elem(&revocations, key);

	return since && (__s32)(*since - generation) > 0;
}

#endif
