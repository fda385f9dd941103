/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Counting. A failure to count never changes what happens to the packet. */
#ifndef MARTLET_COUNTER_H
#define MARTLET_COUNTER_H

#include "packet.h"
#include "shared_maps.h"

static __always_inline void count(const struct __sk_buff *skb, __u32 counter)
{
	struct counter_value *value = bpf_map_lookup_elem(&counters, &counter);

	if (!value)
		return;
	value->packets++;
	value->bytes += skb->len - ETH_HLEN;
}

/* Counts what is not a packet. */
static __always_inline void count_event(__u32 counter)
{
	struct counter_value *value = bpf_map_lookup_elem(&counters, &counter);

	if (value)
		value->packets++;
}

/* Every drop has a reason: `return drop(skb, COUNTER_DROP_...)`. */
static __always_inline int drop(const struct __sk_buff *skb, __u32 reason)
{
	count(skb, reason);
	return TC_ACT_SHOT;
}

#endif
