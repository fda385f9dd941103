/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Policy at the ends of a flow: the egress policy of the pod that opens it, and the ingress policy of the pod that it
 * is for, each on that pod's own node.
 */
#ifndef MARTLET_WORKLOAD_POLICY_H
#define MARTLET_WORKLOAD_POLICY_H

#include "flow.h"
#include "policy.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << 10);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct endpoint_policy);
} endpoint_policies SEC(".maps");

/* What policy says of a flow: this, the counter to drop it under, or for a rejected one the counter's negative. */
#define ADMITTED 0

/* What an action says of a flow that `reason` would count. A set that leaves it open denies. */
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

/* The policy of a pod that is not known yet denies. */
static __always_inline int judge_egress(struct policy_subject *subject, __u32 slot)
{
	struct endpoint_policy *policy = bpf_map_lookup_elem(&endpoint_policies, &slot);

	return policy ? admission(judge(subject, policy->egress), COUNTER_DROP_POLICY_EGRESS)
		      : COUNTER_DROP_POLICY_EGRESS;
}

static __always_inline int judge_ingress(struct policy_subject *subject, __u32 slot)
{
	struct endpoint_policy *policy = bpf_map_lookup_elem(&endpoint_policies, &slot);

	return policy ? admission(judge(subject, policy->ingress), COUNTER_DROP_POLICY_INGRESS)
		      : COUNTER_DROP_POLICY_INGRESS;
}

/* The flow as policy sees it: who opened it, and whom it is for once a service's address has been replaced. */
static __always_inline void describe_flow(struct policy_subject *subject, const struct flow_tuple *opener,
					  const struct flow *flow)
{
	bool v4 = !opener->source.high && (opener->source.low & ADDRESS_V4_MASK) == ADDRESS_V4_PREFIX;

	subject->tuple = *opener;
	subject->tuple.destination = flow->destination;
	subject->tuple.destination_port = flow->destination_port;
	subject->family = v4 ? 4 : 6;
	/* Of ICMP, echoes alone have flows. */
	subject->icmp = (v4 ? ICMP_ECHO : ICMPV6_ECHO_REQUEST) << 8 | flow->icmp_code;
	subject->known = 0;
}

/* What a pod may send to its own node beyond its egress policy. */
static __always_inline int judge_workload_to_host(void)
{
	struct settings *current = current_settings();

	return current && current->workload_to_host == WORKLOAD_TO_HOST_ACCEPT ? ADMITTED
									       : COUNTER_DROP_WORKLOAD_TO_HOST;
}

/*
 * Judges the flow whose opener's half is `flow`, opened by the pod in slot `source`, or 0. A pod that talks to itself,
 * and a host that talks to its own pods, are nobody else's business.
 */
__noinline int admit_flow(const struct flow_tuple *opener, struct flow *flow, __u32 source)
{
	struct policy_scratch *scratch = current_policy_scratch();
	struct policy_subject *subject;
	int result;

	if (!opener || !flow || !scratch)
		return COUNTER_DROP_POLICY_INGRESS;
	subject = &scratch->subject;
	flow->egress_rule = flow->ingress_rule = 0;
	describe_flow(subject, opener, flow);
	if (source && source == flow->endpoint)
		return ADMITTED;
	if (source) {
		result = judge_egress(subject, source);
		flow->egress_rule = subject->rule;
		if (result != ADMITTED)
			return result;
		if (flow->flags & FLOW_TO_HOST)
			return judge_workload_to_host();
	}
	if (!flow->endpoint || flow->flags & FLOW_FROM_HOST)
		return ADMITTED;
	result = judge_ingress(subject, flow->endpoint);
	flow->ingress_rule = subject->rule;
	return result;
}

/* Whether the policies have changed since the flow was judged. */
static __always_inline bool is_outdated(const struct flow *flow)
{
	struct settings *current = current_settings();

	return current && current->policy_generation != flow->policy_generation;
}

/* Records in both halves what the flow is judged by from now on. */
static __always_inline void stamp_verdict(struct flow *reply, struct flow *opener, __u32 generation)
{
	reply->egress_rule = opener->egress_rule;
	reply->ingress_rule = opener->ingress_rule;
	opener->policy_generation = reply->policy_generation = generation;
}

/*
 * Judges a flow anew, if the policies have changed since, by one of its halves and in the direction that it was opened
 * in: as admit_flow(). What is denied is forgotten. A flow that is over is left to who finds it out.
 */
__noinline int judge_again(const struct flow_tuple *tuple, struct flow *flow)
{
	struct policy_scratch *scratch = current_policy_scratch();
	struct settings *current = current_settings();
	struct flow_tuple *partner;
	struct flow *other;
	__u32 generation;
	int result;

	if (!tuple || !flow || !current || !scratch)
		return COUNTER_DROP_POLICY_INGRESS;
	/* Read before the policies: what changes while they are asked counts as later. */
	generation = *(volatile __u32 *)&current->policy_generation;
	if (flow->policy_generation == generation)
		return ADMITTED;
	partner = &scratch->partner;
	*partner = partner_tuple(tuple, flow);
	other = find_flow(partner);
	if (!other || (is_idle(tuple, flow) && is_idle(partner, other)))
		return ADMITTED;
	result = flow->flags & FLOW_OPENER ? admit_flow(tuple, flow, other->endpoint)
					   : admit_flow(partner, other, flow->endpoint);
	if (result != ADMITTED)
		remove_flow(tuple, flow);
	else if (flow->flags & FLOW_OPENER)
		stamp_verdict(other, flow, generation);
	else
		stamp_verdict(flow, other, generation);
	return result;
}

#endif
