/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The interfaces at which the host has policies, its ports that none of them closes, and senders that it never hears.
 */
#ifndef MARTLET_HOST_ENDPOINT_H
#define MARTLET_HOST_ENDPOINT_H

#include "policy.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 10);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct host_endpoints);
} host_endpoints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1 << 12);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct failsafe_key);
	__type(value, __u32);
} failsafes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1 << 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ip_prefix);
	__type(value, __u32);
} blocked_prefixes SEC(".maps");

/* What policy says of a flow: this, the counter to drop it under, or for a rejected one the counter's negative. */
#define ADMITTED 0

/* What an action says of a flow that `reason` would count. What is left open is denied. */
static __always_inline int admission(int action, __u32 reason)
{
	switch (action) {
	case POLICY_ALLOW:
		return ADMITTED;
	case POLICY_REJECT:
		return -(int)reason;
	default:
		return reason;
	}
}

static __always_inline bool is_host_endpoint(__u32 key)
{
	struct host_endpoints *found = bpf_map_lookup_elem(&host_endpoints, &key);

	return found && found->versions[current_policy_version() & (POLICY_VERSIONS - 1)].present;
}

/* Whether the host has an endpoint at the interface. */
static __always_inline bool has_host_endpoint(__u32 interface)
{
	return is_host_endpoint(interface) || is_host_endpoint(0);
}

/*
 * Copies the endpoint of one key. As read_identity(): the memory of an element that is replaced is given to the next at
 * once, so what has been read counts if the element is still there afterwards.
 */
static __always_inline bool copy_host_endpoint(__u32 key, __u32 version, struct host_endpoint *copy)
{
	struct host_endpoints *found = bpf_map_lookup_elem(&host_endpoints, &key);
	int i;

	for (i = 0; i < 3 && found; i++) {
		const struct host_endpoints *before = found;

		*copy = found->versions[version & (POLICY_VERSIONS - 1)];
		barrier();
		found = bpf_map_lookup_elem(&host_endpoints, &key);
		if (found == before)
			return copy->present;
	}
	return false;
}

/*
 * Copies the endpoint of an interface to the scratch, of the version that its subject is judged by; 0 if there is none.
 * Global, to keep what it needs out of its callers' stacks.
 */
__noinline int read_host_endpoint(__u32 interface)
{
	struct policy_scratch *scratch = current_policy_scratch();

	if (!scratch)
		return 0;
	return copy_host_endpoint(interface, scratch->subject.version, &scratch->host) ||
	       copy_host_endpoint(0, scratch->subject.version, &scratch->host);
}

/*
 * Whether the packet, or for a reply the one that it answers, is to a port of the host (for egress: of somebody else)
 * that no policy closes. Global, to keep the key out of its callers' stacks.
 */
__noinline int is_failsafe(const struct policy_subject *subject, bool egress, bool reply)
{
	struct failsafe_key key = {.length = 32 + 128, .egress = egress};
	const struct flow_tuple *tuple;

	if (!subject || !has_ports(subject->tuple.protocol))
		return false;
	tuple = &subject->tuple;
	key.protocol = tuple->protocol;
	key.port = reply ? tuple->source_port : tuple->destination_port;
	__builtin_memcpy(key.address, egress != reply ? &tuple->destination : &tuple->source, sizeof(key.address));
	return bpf_map_lookup_elem(&failsafes, &key) != NULL;
}

static __always_inline bool is_blocked(const struct ip_address *sender)
{
	struct ip_prefix key = {.length = 128};

	__builtin_memcpy(key.address, sender, sizeof(key.address));
	return bpf_map_lookup_elem(&blocked_prefixes, &key);
}

/*
 * What the host says of a packet before connections are tracked: enum policy_action, or 0 to go on. Where the host
 * itself sends or receives it, neither a failsafe port nor the answers from one are closed.
 */
static __always_inline int judge_untracked(struct policy_scratch *scratch, __u32 interface, bool egress, bool of_host)
{
	struct policy_subject *subject = &scratch->subject;
	__u32 set;

	if (!read_host_endpoint(interface))
		return 0;
	set = egress ? scratch->host.untracked_egress : scratch->host.untracked_ingress;
	if (!set || (of_host && (is_failsafe(subject, egress, false) || is_failsafe(subject, !egress, true))))
		return 0;
	return judge(subject, set);
}

#endif
