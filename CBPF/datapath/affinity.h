/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Session affinity: a client's new connections go where its last one went, while that backend is among those that it
 * may use now. The timer is an idle timer: each new connection restarts it, packets of a running one do not.
 */
#ifndef MARTLET_AFFINITY_H
#define MARTLET_AFFINITY_H

#include "packet.h"
#include "shared_maps.h"

/* Halvings that are enough for any slice of `backends`. */
#define SLICE_HALVINGS 20

/* Whether `a` stands before `b` in a slice's order. */
static __always_inline bool stands_before(const struct backend *a, const struct backend *b)
{
	__u64 high_a = bpf_be64_to_cpu(a->address.high), high_b = bpf_be64_to_cpu(b->address.high);
	__u64 low_a = bpf_be64_to_cpu(a->address.low), low_b = bpf_be64_to_cpu(b->address.low);

	if ((a->flags ^ b->flags) & BACKEND_LOCAL)
		return a->flags & BACKEND_LOCAL;
	if (high_a != high_b)
		return high_a < high_b;
	if (low_a != low_b)
		return low_a < low_b;
	return bpf_ntohs(a->port) < bpf_ntohs(b->port);
}

/* Finds a backend, by its address, port and flags, in the slice. */
static __always_inline bool find_in_slice(struct backend_slice slice, const struct backend *remembered, __u32 *found)
{
	__u32 first = slice.offset, count = slice.count, middle;
	struct backend *backend;
	int i;

	for (i = 0; i < SLICE_HALVINGS && count; i++) {
		middle = first + count / 2;
		backend = bpf_map_lookup_elem(&backends, &middle);
		if (!backend)
			return false;
		if (stands_before(backend, remembered)) {
			count -= count / 2 + 1;
			first = middle + 1;
		} else {
			count /= 2;
		}
	}
	if (first >= slice.offset + slice.count)
		return false;
	backend = bpf_map_lookup_elem(&backends, &first);
	*found = first;
	return backend && backend->port == remembered->port && address_equal(backend->address, remembered->address);
}

static __always_inline struct affinity_key affinity_key(const struct frontend *frontend,
							const struct ip_address *client)
{
	return (struct affinity_key){.client = *client, .service = frontend->service};
}

/* Where the client's last connection went, as an index into `backends`, if that is recent and still in the slice. */
static __always_inline bool recall_backend(const struct frontend *frontend, struct backend_slice slice,
					   const struct ip_address *client, __u32 *index)
{
	struct affinity_key key = affinity_key(frontend, client);
	struct affinity *remembered = bpf_map_lookup_elem(&affinity, &key);
	struct backend last;

	if (!remembered ||
	    bpf_ktime_get_coarse_ns() - remembered->last_used > frontend->affinity_timeout * 1000000000ULL)
		return false;
	last = (struct backend){.address = remembered->address, .port = remembered->port, .flags = remembered->flags};
	return find_in_slice(slice, &last, index);
}

/* Remembers where this connection goes, and restarts the timer. The table evicts the least recently used. */
static __always_inline void remember_backend(const struct frontend *frontend, const struct ip_address *client,
					     const struct backend *backend)
{
	struct affinity_key key = affinity_key(frontend, client);
	struct affinity value = {
		.address = backend->address,
		.port = backend->port,
		.flags = backend->flags,
		.last_used = bpf_ktime_get_coarse_ns(),
	};

	bpf_map_update_elem(&affinity, &key, &value, BPF_ANY);
}

#endif
