/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The ways out of a program, other than drop() and the redirects of forward.h. */
#ifndef MARTLET_VERDICT_H
#define MARTLET_VERDICT_H

#include "packet.h"

/*
 * The packet has been decided on: a to_... hook that meets it later lets it through. Settable, since other software may
 * use the same bit.
 */
const volatile __u32 mark_decided = 0x00800000;

/* No verdict yet: go on and forward the packet as its flow says. Unlike any TC_ACT_*. */
#define VERDICT_PROCEED -100

/* Where flow.input_ifindex says that packets come from, besides a pod's interface. */
#define INPUT_NETWORK 0
#define INPUT_HOST    1	    /* the loopback interface's index in every namespace */
#define INPUT_ANY     (~0U) /* anywhere but a pod: the stack forwards such packets, past several hooks */

/* In flow.exit_ifindex: the kernel has named no interface, so that policies of all interfaces hold until it does. */
#define EXIT_UNKNOWN (~0U)

static __always_inline bool is_decided(const struct __sk_buff *skb)
{
	return skb->mark & mark_decided;
}

static __always_inline void decide(struct __sk_buff *skb)
{
	skb->mark |= mark_decided;
}

/* Whether the packet is on its way from the host's stack to itself. */
static __always_inline bool is_on_loopback(const struct __sk_buff *skb)
{
	return skb->ifindex == INPUT_HOST;
}

/*
 * Hands the host a packet that claims to come from one of its own addresses. From any other interface the stack would
 * take it for forged; sent through the loopback interface it has a route already and is not asked.
 */
static __always_inline int through_loopback(struct __sk_buff *skb)
{
	decide(skb);
	return bpf_redirect_neigh(INPUT_HOST, NULL, 0, 0);
}

/* Leaves the packet to the host's stack, and to whatever other program is attached behind this one. */
static __always_inline int to_stack(struct __sk_buff *skb)
{
	return TC_ACT_UNSPEC;
}

/* Likewise, when the stack is to forward it: our own hooks on its way out have nothing to add. */
static __always_inline int through_stack(struct __sk_buff *skb)
{
	decide(skb);
	return TC_ACT_UNSPEC;
}

static __always_inline bool from_stack(enum hook hook)
{
	return hook == HOOK_TO_POD || hook == HOOK_TO_NET;
}

/* Where a packet at `hook` has come from, in the terms of flow.input_ifindex. */
static __always_inline __u32 input_of(const struct __sk_buff *skb, enum hook hook)
{
	switch (hook) {
	case HOOK_FROM_POD:
		return skb->ifindex;
	case HOOK_FROM_NET:
	case HOOK_FROM_TUNNEL:
		return INPUT_NETWORK;
	default:
		return INPUT_HOST;
	}
}

/* Whether a packet at `hook` comes from where the flow's packets come from, which is `input`. */
static __always_inline bool comes_from(const struct __sk_buff *skb, __u32 input, enum hook hook)
{
	return input == input_of(skb, hook) || (input == INPUT_ANY && hook != HOOK_FROM_POD);
}

#endif
