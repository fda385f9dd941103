/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Policy at the ends of a flow: the egress policy of the pod that opens it, and the ingress policy of the pod that it
 * is for, each on that pod's own node.
 */
#ifndef MARTLET_WORKLOAD_POLICY_H
#define MARTLET_WORKLOAD_POLICY_H

#include "host_policy.h"
#include "policy.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << 10);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct endpoint_policies);
} endpoint_policies SEC(".maps");

static __always_inline const struct endpoint_policy *find_endpoint_policy(__u32 slot,
									  const struct policy_subject *subject)
{
	struct endpoint_policies *found = bpf_map_lookup_elem(&endpoint_policies, &slot);

	return found ? &found->versions[subject->version & (POLICY_VERSIONS - 1)] : NULL;
}

/* The policy of a pod that is not known yet denies. */
static __always_inline int judge_egress(struct policy_subject *subject, __u32 slot)
{
	const struct endpoint_policy *policy = find_endpoint_policy(slot, subject);

	return policy ? admission(judge(subject, policy->egress), COUNTER_DROP_POLICY_EGRESS)
		      : COUNTER_DROP_POLICY_EGRESS;
}

static __always_inline int judge_ingress(struct policy_subject *subject, __u32 slot)
{
	const struct endpoint_policy *policy = find_endpoint_policy(slot, subject);

	return policy ? admission(judge(subject, policy->ingress), COUNTER_DROP_POLICY_INGRESS)
		      : COUNTER_DROP_POLICY_INGRESS;
}

#endif
