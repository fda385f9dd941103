/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Policy for what does not leave the link: multicast, broadcast and link-local addresses. Neighbour discovery and group
 * membership have passed before; the rest is the sending pod's to be allowed, and the host's to allow in.
 */
#ifndef MARTLET_LINK_POLICY_H
#define MARTLET_LINK_POLICY_H

#include "admission.h"
#include "host_business.h"
#include "reply.h"
#include "untracked.h"

/* Addresses of one neighbour, which a conversation can be had with. */
static __always_inline bool is_link_local(struct ip_address address)
{
	if (is_v4(address))
		return bpf_ntohl(address_to_v4(address)) >> 16 == 0xa9fe;
	return bpf_be64_to_cpu(address.high) >> 54 == 0xfe80 >> 6;
}

static __always_inline bool is_unspecified(struct ip_address address)
{
	return !address.high && (!address.low || address.low == ADDRESS_V4_PREFIX);
}

/* Whether the packet may begin a flow of the host's, because the host has a policy at the interface. */
static __always_inline bool is_link_flow(const struct __sk_buff *skb, const struct packet *packet, enum hook hook)
{
	return (hook == HOOK_FROM_NET || hook == HOOK_TO_NET) && is_link_local(packet->tuple.destination) &&
	       is_host_judged(skb, packet);
}

/* What a pod sends on its link reaches the host alone. A pod has link-local addresses that nobody has told us. */
static __always_inline int judge_on_pod_link(struct __sk_buff *skb, const struct packet *packet,
					     struct policy_scratch *scratch)
{
	__u32 interface = skb->ifindex, *slot = bpf_map_lookup_elem(&endpoint_interfaces, &interface);
	struct ip_address source = packet->tuple.source;
	int result;

	if (!slot || (!is_link_local(source) && !is_unspecified(source) &&
		      sending_pod(skb, packet, find_address(&source)) != *slot))
		return COUNTER_DROP_SOURCE_ADDRESS;
	result = judge_egress(&scratch->subject, *slot);
	if (result != ADMITTED || workload_to_host(&scratch->subject) == WORKLOAD_TO_HOST_ACCEPT)
		return result;
	if (workload_to_host(&scratch->subject) == WORKLOAD_TO_HOST_DROP)
		return COUNTER_DROP_WORKLOAD_TO_HOST;
	return read_host_endpoint(interface) ? judge_normal(&scratch->subject, scratch->host.ingress, false) : ADMITTED;
}

/* What the host says of what is sent to all on a link, packet by packet. */
static __always_inline int judge_on_network_link(const struct __sk_buff *skb, const struct packet *packet,
						 struct policy_scratch *scratch, enum hook hook)
{
	bool egress = hook == HOOK_TO_NET;

	if ((hook != HOOK_FROM_NET && !egress) || !is_host_judged(skb, packet) || !read_host_endpoint(skb->ifindex))
		return ADMITTED;
	return judge_normal(&scratch->subject, egress ? scratch->host.egress : scratch->host.ingress, egress);
}

/* What is said of a packet that stays on the link, by itself. */
__noinline int judge_on_link(struct __sk_buff *skb, const struct packet *packet, __u32 hook)
{
	struct policy_scratch *scratch = current_policy_scratch();

	if (!packet || !scratch)
		return COUNTER_DROP_POLICY_EGRESS;
	describe_packet(&scratch->subject, packet);
	return hook == HOOK_FROM_POD ? judge_on_pod_link(skb, packet, scratch)
				     : judge_on_network_link(skb, packet, scratch, hook);
}

/* Leaves a packet that stays on the link to the stack; or the verdict. Nobody answers what was sent to all. */
static __always_inline int pass_on_link(struct __sk_buff *skb, const struct packet *packet, enum hook hook)
{
	struct policy_scratch *scratch = current_policy_scratch();
	int result = judge_on_link(skb, packet, hook);

	if (scratch && is_overtaken(&scratch->subject))
		result = judge_on_link(skb, packet, hook);
	return result == ADMITTED ? to_stack(skb) : drop(skb, result < 0 ? -result : result);
}

#endif
