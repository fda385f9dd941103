/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Whether a flow is admitted: by the host whose interfaces it crosses, by the pod that opens it and by the pod that it
 * is for. A flow is judged by its first packet, and again by the next one after the policies have changed.
 */
#ifndef MARTLET_ADMISSION_H
#define MARTLET_ADMISSION_H

#include "address.h"
#include "host_policy.h"
#include "workload_policy.h"

/* The flow as policy sees it: who opened it, and whom it is for once a service's address has been replaced. By which
 * version of the policies it is judged is its callers' to say, once for all that is asked about it. */
static __always_inline void describe_flow(struct policy_subject *subject, const struct flow_tuple *opener,
					  const struct flow *flow)
{
	subject->tuple = *opener;
	subject->tuple.destination = flow->backend_port ? flow->backend : flow->destination;
	subject->tuple.destination_port = flow->backend_port ? flow->backend_port : flow->destination_port;
	subject->family = is_v4(opener->source) ? 4 : 6;
	subject->icmp = flow->icmp_type << 8 | flow->icmp_code;
	subject->known = 0;
}

/* What a pod may send to its own node beyond its egress policy: enum workload_to_host. */
static __always_inline __u32 workload_to_host(const struct policy_subject *subject)
{
	return subject->version >> POLICY_VERSION_WORKLOAD_TO_HOST_SHIFT;
}

/*
 * A flow that the pod in slot `source` opens: by its own policy and, if it is for the host, by what that takes of pods.
 * One that another node has sent back has been judged by the pod's policy when it left, as for that node.
 */
static __always_inline int judge_pod_flow(struct policy_scratch *scratch, struct flow *flow, __u32 source)
{
	int result = ADMITTED;

	if (!(flow->flags & FLOW_RETURNED)) {
		result = judge_egress(&scratch->subject, source);
		flow->egress_rule = scratch->subject.rule;
	}
	if (result != ADMITTED || !(flow->flags & FLOW_TO_HOST))
		return result;
	switch (workload_to_host(&scratch->subject)) {
	case WORKLOAD_TO_HOST_ACCEPT:
		return ADMITTED;
	case WORKLOAD_TO_HOST_JUDGE:
		return judge_entry(scratch, flow);
	default:
		return COUNTER_DROP_WORKLOAD_TO_HOST;
	}
}

/*
 * Judges the flow whose opener's half is `flow`, opened by the pod in slot `source`, or 0. A pod that talks to itself,
 * and a host that talks to its own pods, are nobody else's business.
 */
__noinline int judge_flow(const struct flow_tuple *opener, struct flow *flow, __u32 source)
{
	struct policy_scratch *scratch = current_policy_scratch();
	int result = ADMITTED;
	bool from_pod;

	if (!opener || !flow || !scratch)
		return COUNTER_DROP_POLICY_INGRESS;
	from_pod = source || (flow->flags & FLOW_RETURNED && find_address(&opener->source).kind != ADDRESS_THIS_NODE);
	flow->egress_rule = flow->ingress_rule = 0;
	flow->policy_version = scratch->subject.version;
	describe_flow(&scratch->subject, opener, flow);
	if ((source && source == flow->endpoint) || (flow->endpoint && flow->flags & FLOW_FROM_HOST))
		return ADMITTED;
	if (!from_pod || !(flow->flags & FLOW_TO_HOST))
		result = judge_entry(scratch, flow);
	if (result == ADMITTED && from_pod)
		result = judge_pod_flow(scratch, flow, source);
	if (result == ADMITTED && flow->endpoint) {
		result = judge_ingress(&scratch->subject, flow->endpoint);
		flow->ingress_rule = scratch->subject.rule;
	}
	return result == ADMITTED ? judge_exit(scratch, flow) : result;
}

/* What is asked of each packet before connections are tracked, of one that comes in from the network. */
static __always_inline int judge_entry_untracked(struct policy_scratch *scratch, const struct flow *flow, bool of_host)
{
	if (!(scratch->subject.version & UNTRACKED_INGRESS << POLICY_VERSION_UNTRACKED_SHIFT) ||
	    flow->input_ifindex != INPUT_NETWORK || flow->flags & FLOW_TUNNELLED)
		return 0;
	return judge_untracked(scratch, flow->entry_ifindex, false, of_host);
}

/*
 * The key of the endpoint that sees a flow as it came in. What comes through the tunnel has come in by an interface of
 * the node that sent it, and been seen there as it was: here it is for the endpoint of all interfaces alone.
 */
static __always_inline __u32 endpoint_before_nat(const struct flow *flow)
{
	return flow->flags & FLOW_TUNNELLED ? 0 : flow->entry_ifindex;
}

/*
 * What the host says of a flow before its service is looked up. Where it allows the flow outright, here or before
 * connections are tracked, no other policy of the host is asked. Each packet has been judged before tracking already,
 * but perhaps by the policies before these.
 */
__noinline int judge_before_nat(const struct flow_tuple *opener, struct flow *flow)
{
	struct policy_scratch *scratch = current_policy_scratch();
	struct policy_subject *subject;
	bool of_host;
	int action;

	if (!opener || !flow || !scratch)
		return COUNTER_DROP_HOST_POLICY;
	subject = &scratch->subject;
	subject->version = current_policy_version();
	flow->flags &= ~FLOW_HOST_ADMITTED;
	if (!flow->entry_ifindex)
		return ADMITTED;
	describe_flow(subject, opener, flow);
	subject->tuple = *opener;
	of_host = find_address(&opener->destination).kind == ADDRESS_THIS_NODE;
	action = judge_entry_untracked(scratch, flow, of_host);
	if (!action) {
		if (!read_host_endpoint(endpoint_before_nat(flow)) || !scratch->host.before_nat)
			return ADMITTED;
		if (of_host && is_failsafe(subject, false, false))
			return ADMITTED;
		action = judge(subject, scratch->host.before_nat);
	}
	if (action == POLICY_ALLOW)
		flow->flags |= FLOW_HOST_ADMITTED;
	return action ? admission(action, COUNTER_DROP_HOST_POLICY) : ADMITTED;
}

/* As judge_before_nat(), by policies that were not changed meanwhile. */
static __always_inline int admit_before_nat(const struct flow_tuple *opener, struct flow *flow)
{
	struct policy_scratch *scratch = current_policy_scratch();
	int result = judge_before_nat(opener, flow);

	return scratch && is_overtaken(&scratch->subject) ? judge_before_nat(opener, flow) : result;
}

static __always_inline int judge_wholly(const struct flow_tuple *opener, struct flow *flow, __u32 source)
{
	int result = judge_before_nat(opener, flow);

	return result == ADMITTED ? judge_flow(opener, flow, source) : result;
}

/*
 * To be called after admit_before_nat(). As judge_flow(), by the same policies as there; if they have been changed
 * meanwhile, by the new ones altogether.
 */
static __always_inline int admit_flow(const struct flow_tuple *opener, struct flow *flow, __u32 source)
{
	struct policy_scratch *scratch = current_policy_scratch();
	int result = judge_flow(opener, flow, source);

	return scratch && is_overtaken(&scratch->subject) ? judge_wholly(opener, flow, source) : result;
}

/* Records in both halves what the flow is judged by from now on. */
static __always_inline void stamp_verdict(struct flow *reply, struct flow *opener, __u32 generation)
{
	reply->egress_rule = opener->egress_rule;
	reply->ingress_rule = opener->ingress_rule;
	opener->policy_generation = reply->policy_generation = generation;
}

static __always_inline int admit_again(const struct flow_tuple *opener, struct flow *flow, __u32 source)
{
	int result = admit_before_nat(opener, flow);

	return result == ADMITTED ? admit_flow(opener, flow, source) : result;
}

/*
 * Judges a flow anew, if the policies have changed since, by one of its halves and in the direction that it was opened
 * in: as admit_flow(). A flow that is denied is judged by each packet, until it is admitted again or has been idle for
 * long enough: its client may know nothing but that packets are lost, and goes on with the backend it has. One that is
 * rejected is over, and forgotten. A flow that is over is left to who finds it out.
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
	write_partner(partner, tuple, flow);
	other = find_flow(partner);
	if (!other || (is_idle(tuple, flow) && is_idle(partner, other)))
		return ADMITTED;
	result = flow->flags & FLOW_OPENER ? admit_again(tuple, flow, other->endpoint)
					   : admit_again(partner, other, flow->endpoint);
	if (result < 0)
		remove_flow(tuple, flow);
	else if (result == ADMITTED && flow->flags & FLOW_OPENER)
		stamp_verdict(other, flow, generation);
	else if (result == ADMITTED)
		stamp_verdict(flow, other, generation);
	return result;
}

/* The policies have changed since the flow was admitted. */
#define OVERTAKEN 0x10000

/* As admit_exit(), or OVERTAKEN. */
__noinline int judge_at_exit(const struct flow_tuple *opener, struct flow *flow, __u32 interface)
{
	struct policy_scratch *scratch = current_policy_scratch();
	struct policy_subject *subject;
	int result;

	if (!opener || !flow || !scratch)
		return COUNTER_DROP_HOST_POLICY;
	if (!(flow->flags & FLOW_OPENER) || (flow->exit_ifindex && flow->exit_ifindex != EXIT_UNKNOWN))
		return ADMITTED;
	flow->exit_ifindex = interface;
	subject = &scratch->subject;
	subject->version = current_policy_version();
	if (flow->policy_version != (__u8)subject->version)
		goto overtaken;
	describe_flow(subject, opener, flow);
	result = judge_exit(scratch, flow);
	if (is_overtaken(subject))
		goto overtaken;
	if (result != ADMITTED)
		remove_flow(opener, flow);
	return result;
overtaken:
	/* As if it had been found at its next packet. */
	flow->policy_generation--;
	return OVERTAKEN;
}

/*
 * Judges a flow that has been admitted so far by the interface that it turns out to leave by; altogether, if the
 * policies have changed since. What is denied is forgotten.
 */
static __always_inline int admit_exit(const struct flow_tuple *opener, struct flow *flow, __u32 interface)
{
	int result = judge_at_exit(opener, flow, interface);

	if (result != OVERTAKEN)
		return result;
	result = judge_again(opener, flow);
	if (result != ADMITTED)
		remove_flow(opener, flow);
	return result;
}

#endif
