/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Services: from a frontend to one of its backends. */
#ifndef MARTLET_SERVICE_H
#define MARTLET_SERVICE_H

#include "address.h"
#include "affinity.h"
#include "packet.h"
#include "shared_maps.h"

/* What became of a service lookup. Below zero: dropped, and the counter for it is the negative. */
enum service_result {
	SERVICE_NONE = 0,   /* no frontend at this address and port */
	SERVICE_CHOSEN = 1, /* the choice holds the backend */
	SERVICE_REFUSE = 2, /* no endpoint anywhere */
};

struct service_choice {
	struct ip_address client; /* whom session affinity knows; given by who asks */
	struct frontend frontend; /* as it was when it was asked */
	struct backend backend;
	__u32 service; /* id */
	__u32 flags;   /* enum frontend_flag of the frontend */
};

static __always_inline struct frontend *find_frontend(const struct flow_tuple *tuple)
{
	struct frontend_key key = {
		.address = tuple->destination,
		.port = tuple->destination_port,
		.protocol = tuple->protocol,
	};

	return has_ports(tuple->protocol) ? bpf_map_lookup_elem(&frontends, &key) : NULL;
}

static __always_inline bool source_admitted(const struct frontend *frontend, const struct flow_tuple *tuple)
{
	struct source_range_key key = {
		.length = 32 + 128,
		.service = bpf_htonl(frontend->service),
	};
	__u32 *family;

	if (!(frontend->flags & FRONTEND_SOURCE_RANGES))
		return true;
	__builtin_memcpy(key.address, &tuple->source, sizeof(key.address));
	family = bpf_map_lookup_elem(&source_ranges, &key);
	return family && *family == (is_v4(tuple->destination) ? 4 : 6);
}

/* Whom a backend is chosen for; decides which of the frontend's slices it comes from. */
enum service_client {
	CLIENT_OF_NODE = 0,   /* a pod of this node, or the node itself */
	CLIENT_OUTSIDE = 1,   /* anybody whose packets come from the network */
	CLIENT_TUNNELLED = 2, /* likewise, through another node, which has chosen this one */
};

/*
 * The service's internal and external traffic policies. Clients of this node reach external addresses as if the policy
 * were Cluster; what another node has sent here stays here.
 */
static __always_inline struct backend_slice policy_slice(const struct frontend *frontend, __u32 client)
{
	if (client == CLIENT_TUNNELLED || frontend->flags & FRONTEND_INTERNAL_LOCAL)
		return frontend->local;
	if (frontend->flags & FRONTEND_EXTERNAL_LOCAL && client == CLIENT_OUTSIDE)
		return frontend->local;
	return frontend->cluster;
}

/* The same on every node, so that a client that comes in through another one gets the same backend (murmur3's mix). */
static __always_inline __u32 tuple_hash(const struct flow_tuple *tuple)
{
	__u64 hash = tuple->source.high ^ tuple->destination.high;

	hash = (hash ^ tuple->source.low) * 0xff51afd7ed558ccdULL;
	hash = (hash ^ hash >> 33 ^ tuple->destination.low) * 0xc4ceb9fe1a85ec53ULL;
	hash ^= hash >> 33 ^ (__u64)tuple->source_port << 32 ^ (__u64)tuple->destination_port << 16 ^ tuple->protocol;
	hash *= 0xff51afd7ed558ccdULL;
	return hash >> 32;
}

/* The index in `backends` of a backend for a new flow. The upper half of the product is uniform over the slice. */
static __always_inline __u32 pick_index(const struct frontend *frontend, struct backend_slice slice,
					const struct flow_tuple *tuple)
{
	__u32 entry, *index;

	if (!(frontend->flags & FRONTEND_MAGLEV) || !frontend->maglev.count ||
	    slice.offset != frontend->cluster.offset || slice.count != frontend->cluster.count)
		return slice.offset + ((__u64)bpf_get_prandom_u32() * slice.count >> 32);
	entry = frontend->maglev.offset + ((__u64)tuple_hash(tuple) * frontend->maglev.count >> 32);
	index = bpf_map_lookup_elem(&maglev, &entry);
	return index ? *index : slice.offset;
}

/* What becomes of a new flow whose slice is empty. */
static __always_inline int empty_result(const struct frontend *frontend)
{
	return frontend->flags & FRONTEND_HAS_ENDPOINTS ? -COUNTER_DROP_NO_LOCAL_BACKEND : SERVICE_REFUSE;
}

/*
 * Reads the frontend as a whole. An update replaces the map's element and the kernel gives the old one's memory to the
 * next element at once (bpf_mem_cache_free() in kernel/bpf/hashtab.c), so what has been read counts only if the element
 * is still the frontend's afterwards.
 */
static __always_inline bool read_frontend(const struct flow_tuple *tuple, const struct frontend *found,
					  struct frontend *copy)
{
	int i;

	for (i = 0; i < 3 && found; i++) {
		const struct frontend *before = found;

		*copy = *found;
		barrier();
		found = find_frontend(tuple);
		if (found == before)
			return true;
	}
	return false;
}

/* Chooses one of the frontend's backends for the flow that `tuple` opens: as choose_backend(). */
static __always_inline int choose_of(const struct frontend *found, const struct flow_tuple *tuple, __u32 client,
				     struct service_choice *choice)
{
	struct frontend *frontend = &choice->frontend;
	struct backend_slice slice;
	struct backend *backend;
	__u32 index;

	if (!read_frontend(tuple, found, frontend))
		return -COUNTER_DROP_SERVICE_CHANGED;
	slice = policy_slice(frontend, client);
	if (!source_admitted(frontend, tuple))
		return -COUNTER_DROP_SOURCE_RANGE;
	if (!slice.count)
		return empty_result(frontend);
	index = pick_index(frontend, slice, tuple);
	if (frontend->affinity_timeout)
		index = sticky_index(frontend, slice, &choice->client, index);
	backend = bpf_map_lookup_elem(&backends, &index);
	if (!backend)
		return SERVICE_REFUSE;
	choice->backend = *backend;
	choice->service = frontend->service;
	choice->flags = frontend->flags;
	return SERVICE_CHOSEN;
}

/* Chooses a backend for the flow that `tuple` opens: enum service_result, or what to drop it for. */
__noinline int choose_backend(const struct flow_tuple *tuple, __u32 client, struct service_choice *choice)
{
	struct frontend *frontend;

	if (!tuple || !choice)
		return SERVICE_NONE;
	frontend = find_frontend(tuple);
	return frontend ? choose_of(frontend, tuple, client, choice) : SERVICE_NONE;
}

#endif
