/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Working memory of the slow path, for which the stack is too small. The path of an established packet has no use for
 * it. */
#ifndef MARTLET_DRAFT_H
#define MARTLET_DRAFT_H

#include "flow.h"
#include "service.h"

/* The packet that an error quotes: its tuple, and where its parts are. */
struct quotation {
	struct flow_tuple tuple;
	__u16 l3;
	__u16 l4;
	__u8 family;
	__u8 reserved[3];
};

struct draft {
	struct flow flow;	      /* a flow in the making, or a copy that differs from its flow */
	struct flow answer;	      /* its other half */
	struct flow_tuple asked;      /* what a service or, by what an error quotes, a flow is looked up by */
	struct service_choice choice; /* of a backend */
	struct flow_tuple reply;      /* key of the half that is entered */
	struct quotation quotation;
	struct bpf_fib_lookup route; /* to the next hop */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct draft);
} drafts SEC(".maps");

static __always_inline struct draft *current_draft(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&drafts, &zero);
}

static __always_inline struct flow *draft_flow(void)
{
	struct draft *draft = current_draft();

	return draft ? &draft->flow : NULL;
}

#endif
