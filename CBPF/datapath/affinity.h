/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Session affinity: a client's new connections go where its last one went, while that backend is among those that it
 * may use now. The timer is an idle timer: each new connection restarts it, packets of a running one do not.
 */
#ifndef MARTLET_AFFINITY_H
#define MARTLET_AFFINITY_H

#include "packet.h"
#include "shared_maps.h"

#define MULTICAST_HIGH __bpf_constant_cpu_to_be64(0xff00000000000000ULL)

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

/*
 * A client of this node as affinity knows it: by the interface that it is plugged in by, so that it is the same whether
 * its socket or its packet is given a backend. One for each family, since the backends of one are not the other's.
 * Written as a multicast address, which no packet has as its source.
 */
static __always_inline struct ip_address client_behind(__u32 interface, const struct ip_address *destination)
{
	return (struct ip_address){
		.high = MULTICAST_HIGH,
		.low = (__u64)is_v4(*destination) << 32 | interface,
	};
}

/*
 * Where the client's last connection went, as an index into `backends`, if that is recent and still in the slice. If
 * so, the timer starts anew.
 */
static __always_inline bool recall_backend(const struct frontend *frontend, struct backend_slice slice,
					   const struct affinity_key *key, __u32 *index, bool *is_known)
{
	struct affinity *remembered = bpf_map_lookup_elem(&affinity, key);
	__u64 now = bpf_ktime_get_coarse_ns();
	struct backend last;

	*is_known = remembered;
	/* Another processor may have used it since the clock was read. */
	if (!remembered || (__s64)(now - remembered->last_used) > frontend->affinity_timeout * 1000000000LL)
		return false;
	last = (struct backend){.address = remembered->address, .port = remembered->port, .flags = remembered->flags};
	if (!find_in_slice(slice, &last, index))
		return false;
	remembered->last_used = now;
	return true;
}

/* Remembers where this connection goes; -1 if another one of the client's has been faster. The table evicts the least
 * recently used. */
static __always_inline int remember_backend(const struct affinity_key *key, __u32 index)
{
	struct backend *backend = bpf_map_lookup_elem(&backends, &index);
	struct affinity value = {.last_used = bpf_ktime_get_coarse_ns()};

	if (!backend)
		return 0;
	value.address = backend->address;
	value.port = backend->port;
	value.flags = backend->flags;
	return bpf_map_update_elem(&affinity, key, &value, BPF_NOEXIST);
}

/* The backend that the client's connections stick to, as an index; `picked` if there is none yet, or none any more. */
static __always_inline __u32 sticky_index(const struct frontend *frontend, struct backend_slice slice,
					  const struct ip_address *client, __u32 picked)
{
	struct affinity_key key = affinity_key(frontend, client);
	bool is_known;
	__u32 index;
	int i;

	/* Connections that open at once agree: what is there is looked at right before it is replaced. */
	for (i = 0; i < 2; i++) {
		if (recall_backend(frontend, slice, &key, &index, &is_known))
			return index;
		if (is_known)
			bpf_map_delete_elem(&affinity, &key);
		if (!remember_backend(&key, picked))
			break;
	}
	return picked;
}

#endif
