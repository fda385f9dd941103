/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The classes that a packet falls into. They depend on nothing but the packet, so that each is looked up once,
 * whichever and however many sets ask for it.
 */
#ifndef MARTLET_POLICY_CLASS_H
#define MARTLET_POLICY_CLASS_H

#include "packet.h"
#include "policy_maps.h"

/* A packet as policy sees it, and what is known of it so far. */
struct policy_subject {
	struct flow_tuple tuple; /* the sender's own source, and the destination after a service's has been replaced */
	__u32 classes[POLICY_DIMENSION_COUNT];
	__u32 known;   /* bits 1 << enum policy_dimension: classes that have been looked up */
	__u32 rule;    /* id of the rule that decided last, 0: none */
	__u32 version; /* current_policy_version(), by which all of it is judged */
	__u16 icmp;    /* type << 8 | code */
	__u8 family;   /* 4 or 6 */
	__u8 reserved;
};

/* Whether the policies have changed since the subject's version was read, so that what it was judged by may be none. */
static __always_inline bool is_overtaken(const struct policy_subject *subject)
{
	return current_policy_version() != subject->version;
}

static __always_inline struct policy_class *find_identity(const struct ip_address *address)
{
	return bpf_map_lookup_elem(&identities, address);
}

/*
 * An update replaces the map's element and the kernel gives the old one's memory to the next element at once
 * (bpf_mem_cache_free() in kernel/bpf/hashtab.c), so what has been read counts only if the element is still the
 * address's afterwards.
 */
static __always_inline __u32 read_identity(const struct ip_address *address, __u32 version)
{
	struct policy_class *found = find_identity(address);
	int i;

	for (i = 0; i < 3 && found; i++) {
		const struct policy_class *before = found;
		__u32 class = *(volatile __u32 *)&found->versions[version];

		found = find_identity(address);
		if (found == before)
			return class;
	}
	return 0;
}

/* As read_identity(), of a name or service that the address and port are of. */
static __always_inline __u32 read_tuple(const struct ip_address *address, __be16 port, __u8 protocol, __u32 version)
{
	struct policy_tuple key = {.address = *address, .port = port, .protocol = protocol};
	struct policy_class *found;
	int i;

	if (!has_ports(protocol))
		return 0;
	found = bpf_map_lookup_elem(&policy_tuples, &key);
	for (i = 0; i < 3 && found; i++) {
		const struct policy_class *before = found;
		__u32 class = *(volatile __u32 *)&found->versions[version];

		found = bpf_map_lookup_elem(&policy_tuples, &key);
		if (found == before)
			return class;
	}
	return 0;
}

static __always_inline __u32 read_prefix(const struct ip_address *address, __u32 version)
{
	struct ip_prefix key = {.length = 128};
	struct policy_class *class;

	__builtin_memcpy(key.address, address, sizeof(key.address));
	class = bpf_map_lookup_elem(&policy_prefixes, &key);
	return class ? class->versions[version] : 0;
}

static __always_inline __u32 read_port(__u32 index, __u32 version)
{
	struct policy_class *class = bpf_map_lookup_elem(&policy_ports, &index);

	return class ? class->versions[version] : 0;
}

static __always_inline __u32 read_destination_port(const struct policy_subject *subject)
{
	__u32 version = subject->version & (POLICY_VERSIONS - 1);
	__u32 port = bpf_ntohs(subject->tuple.destination_port);

	switch (subject->tuple.protocol) {
	case IPPROTO_TCP:
		return read_port(POLICY_PLANE_TCP << 16 | port, version);
	case IPPROTO_UDP:
		return read_port(POLICY_PLANE_UDP << 16 | port, version);
	case IPPROTO_SCTP:
		return read_port(POLICY_PLANE_SCTP << 16 | port, version);
	case IPPROTO_ICMP:
		return read_port(POLICY_PLANE_ICMP << 16 | subject->icmp, version);
	case IPPROTO_ICMPV6:
		return read_port(POLICY_PLANE_ICMPV6 << 16 | subject->icmp, version);
	default:
		return read_port(POLICY_PLANE_OTHER << 16 | subject->tuple.protocol, version);
	}
}

static __always_inline __u32 read_source_port(const struct policy_subject *subject)
{
	__u32 version = subject->version & (POLICY_VERSIONS - 1);
	__u32 port = bpf_ntohs(subject->tuple.source_port);

	switch (subject->tuple.protocol) {
	case IPPROTO_TCP:
		return read_port(POLICY_PLANE_SOURCE_TCP << 16 | port, version);
	case IPPROTO_UDP:
		return read_port(POLICY_PLANE_SOURCE_UDP << 16 | port, version);
	case IPPROTO_SCTP:
		return read_port(POLICY_PLANE_SOURCE_SCTP << 16 | port, version);
	default:
		return 0;
	}
}

static __always_inline __u32 read_class(const struct policy_subject *subject, __u32 dimension)
{
	const struct flow_tuple *tuple = &subject->tuple;
	__u32 version = subject->version & (POLICY_VERSIONS - 1);

	switch (dimension) {
	case POLICY_SOURCE_IDENTITY:
		return read_identity(&tuple->source, version);
	case POLICY_DESTINATION_IDENTITY:
		return read_identity(&tuple->destination, version);
	case POLICY_SOURCE_PREFIX:
		return read_prefix(&tuple->source, version);
	case POLICY_DESTINATION_PREFIX:
		return read_prefix(&tuple->destination, version);
	case POLICY_PORT:
		return read_destination_port(subject);
	case POLICY_SOURCE_PORT:
		return read_source_port(subject);
	case POLICY_TUPLE:
		return read_tuple(&tuple->destination, tuple->destination_port, tuple->protocol, version);
	case POLICY_SOURCE_TUPLE:
		return read_tuple(&tuple->source, tuple->source_port, tuple->protocol, version);
	default:
		return 0;
	}
}

/* The subject's class in one dimension. Global, so that it is verified once and not for each dimension. */
__noinline __u32 policy_class(struct policy_subject *subject, __u32 dimension)
{
	if (!subject || dimension >= POLICY_DIMENSION_COUNT)
		return 0;
	if (!(subject->known & 1U << dimension)) {
		subject->classes[dimension] = read_class(subject, dimension);
		subject->known |= 1U << dimension;
	}
	return subject->classes[dimension];
}

#endif
