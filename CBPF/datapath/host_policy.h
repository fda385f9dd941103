/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Policy of the host, by the interface that a flow comes in by and the one that it leaves by. What the host itself
 * sends and receives is judged by an endpoint's normal sets, and passes it nothing unless they allow it; what is
 * forwarded by its forward sets, which let through what they do not decide.
 */
#ifndef MARTLET_HOST_POLICY_H
#define MARTLET_HOST_POLICY_H

#include "flow.h"
#include "host_endpoint.h"

/* Traffic of the host itself. Set 0 is no set. */
static __always_inline int judge_normal(struct policy_subject *subject, __u32 set, bool egress)
{
	subject->rule = 0;
	if (!set || is_failsafe(subject, egress, false))
		return ADMITTED;
	return admission(judge(subject, set), COUNTER_DROP_HOST_POLICY);
}

/* Traffic through the host. What the set does not decide goes on. */
static __always_inline int judge_forward(struct policy_subject *subject, __u32 set)
{
	int action = set ? judge(subject, set) : 0;

	return action ? admission(action, COUNTER_DROP_HOST_POLICY) : ADMITTED;
}

/* What the host says of a flow that comes in by an interface, to the host itself or through it. */
static __always_inline int judge_entry(struct policy_scratch *scratch, struct flow *flow)
{
	struct policy_subject *subject = &scratch->subject;
	int result;

	if (!flow->entry_ifindex || flow->flags & FLOW_HOST_ADMITTED || !read_host_endpoint(flow->entry_ifindex))
		return ADMITTED;
	if (!(flow->flags & FLOW_TO_HOST))
		return judge_forward(subject, scratch->host.forward_ingress);
	result = judge_normal(subject, scratch->host.ingress, false);
	flow->ingress_rule = subject->rule;
	return result;
}

/* Likewise of one that leaves by an interface. */
static __always_inline int judge_exit(struct policy_scratch *scratch, struct flow *flow)
{
	struct policy_subject *subject = &scratch->subject;
	int result;

	if (!flow->exit_ifindex || flow->flags & FLOW_HOST_ADMITTED || !read_host_endpoint(flow->exit_ifindex))
		return ADMITTED;
	if (!(flow->flags & FLOW_FROM_HOST))
		return judge_forward(subject, scratch->host.forward_egress);
	result = judge_normal(subject, scratch->host.egress, true);
	flow->egress_rule = subject->rule;
	return result;
}

#endif
