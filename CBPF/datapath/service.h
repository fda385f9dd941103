/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Services: from a frontend to one of its backends. */
#ifndef MARTLET_SERVICE_H
#define MARTLET_SERVICE_H

#include "maps.h"
#include "packet.h"

/* What became of a service lookup: below zero, the counter to drop under is the negative. */
enum service_result {
	SERVICE_NONE = 0,   /* no frontend at this address and port */
	SERVICE_CHOSEN = 1, /* `service_choice` holds the backend */
	SERVICE_REFUSE = 2, /* no endpoint anywhere */
};

struct service_choice {
	struct ip_address address;
	__be16 port;
	__u16 flags;   /* enum backend_flag */
	__u32 service; /* id */
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

/*
 * Which of the frontend's slices serves this client: services.md's internal and external traffic policies. Clients of
 * this node reach external addresses as if the policy were Cluster.
 */
static __always_inline struct backend_slice policy_slice(const struct frontend *frontend, bool from_outside)
{
	if (frontend->flags & FRONTEND_INTERNAL_LOCAL)
		return frontend->local;
	if (frontend->flags & FRONTEND_EXTERNAL_LOCAL && from_outside)
		return frontend->local;
	return frontend->cluster;
}

static __always_inline int choose_backend(const struct flow_tuple *tuple, bool from_outside,
					  struct service_choice *choice)
{
	struct frontend *frontend = find_frontend(tuple);
	struct backend_slice slice;
	struct backend *backend;
	__u32 index;

	if (!frontend)
		return SERVICE_NONE;
	slice = policy_slice(frontend, from_outside);
	if (!slice.count)
		return frontend->flags & FRONTEND_HAS_ENDPOINTS ? -COUNTER_DROP_NO_LOCAL_BACKEND : SERVICE_REFUSE;
	/* The upper half of the product is uniform over the slice. */
	index = slice.offset + ((__u64)bpf_get_prandom_u32() * slice.count >> 32);
	backend = bpf_map_lookup_elem(&backends, &index);
	if (!backend)
		return SERVICE_REFUSE;
	choice->address = backend->address;
	choice->port = backend->port;
	choice->flags = backend->flags;
	choice->service = frontend->service;
	return SERVICE_CHOSEN;
}

#endif
