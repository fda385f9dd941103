/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The end of confirmed flows: an entry of queue `expiries` looks after each. */
#ifndef MARTLET_EXPIRY_H
#define MARTLET_EXPIRY_H

#include "flow.h"
#include "stale.h"

/* How often a confirmed flow is looked at: nothing is idle for longer than its timeout and this. */
const volatile __u64 expiry_period = SECONDS(32);

/* Puts the flow at the end of the queue; -1 if that is full. */
static __always_inline int schedule_expiry(struct flow_expiry *expiry)
{
	expiry->due = ticks() + expiry_period / tick_nanoseconds;
	return bpf_map_push_elem(&expiries, expiry, 0) ? -1 : 0;
}

/* Whether pods have come or gone since the flow was last looked at here, and none of its packets has found out. */
static __always_inline bool must_look_for_pods(const struct flow_expiry *expiry, const struct flow *flow,
					       __u32 generation)
{
	return flow->policy_generation != generation && expiry->policy_generation != generation;
}

/* Ends both halves of a flow that has been idle in both, or that has lost a pod; else puts it at the queue's end. */
static __always_inline void expire_or_wait(struct flow_expiry *expiry)
{
	struct flow *flow = find_confirmed(&expiry->opener), *reply;
	struct settings *current = current_settings();
	__u32 generation = current ? current->policy_generation : 0;
	struct flow_tuple partner;
	bool is_over;

	if (!flow || flow->created != expiry->created)
		return;
	/* One side's word is enough: each half that is not looked at spares memory that the processor has not at hand.
	 */
	if (!is_idle(&expiry->opener, flow) && !must_look_for_pods(expiry, flow, generation)) {
		schedule_expiry(expiry);
		return;
	}
	partner = partner_tuple(&expiry->opener, flow);
	reply = find_confirmed(&partner);
	is_over = is_idle(&expiry->opener, flow) && (!reply || is_idle(&partner, reply));
	if (!is_over && must_look_for_pods(expiry, flow, generation)) {
		expiry->policy_generation = generation;
		is_over = has_lost_an_end(flow, reply);
	}
	if (!is_over) {
		schedule_expiry(expiry);
		return;
	}
	bpf_map_delete_elem(&flows, &partner);
	bpf_map_delete_elem(&flows, &expiry->opener);
	count_event(COUNTER_FLOWS_EXPIRED);
}

/*
 * Looks at the flow that has waited longest, if it is due; 1 if it was. Each new flow looks at two, so the table keeps
 * itself clean; user space has the rest looked at once a second. No table is ever swept.
 */
__noinline int expire_next(void)
{
	struct flow_expiry next;

	if (bpf_map_peek_elem(&expiries, &next) || (__s64)(next.due - ticks()) > 0)
		return 0;
	if (bpf_map_pop_elem(&expiries, &next))
		return 0;
	expire_or_wait(&next);
	return 1;
}

#endif
