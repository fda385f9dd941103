/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * ICMP errors about flows. An error travels against the packet that it quotes, so it goes the way of the flow whose
 * tuple is the quoted one, reversed; it is translated like a packet of that flow, and so is the quotation, which then
 * reads as the receiver had sent it.
 */
#ifndef MARTLET_ICMP_ERROR_H
#define MARTLET_ICMP_ERROR_H

#include "admission.h"
#include "draft.h"
#include "forward.h"
#include "host_business.h"
#include "parse.h"
#include "returned.h"
#include "stale.h"

static __always_inline int read_quoted_ipv4(struct __sk_buff *skb, struct quotation *quotation)
{
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, quotation->l3, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
		return -1;
	/* A later fragment's first bytes are no ports. */
	if (ip.frag_off & bpf_htons(0x1fff))
		return -1;
	quotation->tuple.source = address_from_v4(ip.saddr);
	quotation->tuple.destination = address_from_v4(ip.daddr);
	quotation->tuple.protocol = ip.protocol;
	quotation->l4 = quotation->l3 + ip.ihl * 4;
	return 0;
}

static __always_inline int read_quoted_ipv6(struct __sk_buff *skb, struct quotation *quotation)
{
	struct ipv6_walk walk = {.offset = quotation->l3 + sizeof(struct ipv6hdr)};
	struct ipv6hdr ip;

	if (bpf_skb_load_bytes(skb, quotation->l3, &ip, sizeof(ip)) || ip.version != 6)
		return -1;
	walk.next = ip.nexthdr;
	if (ipv6_is_extension(walk.next) && walk_ipv6_extensions(skb, &walk))
		return -1;
	if (walk.fragment == FRAGMENT_LATER)
		return -1;
	quotation->tuple.source = address_from_v6(&ip.saddr);
	quotation->tuple.destination = address_from_v6(&ip.daddr);
	quotation->tuple.protocol = walk.next;
	quotation->l4 = walk.offset;
	return 0;
}

/* Global, to keep the quoted headers out of its caller's stack. */
__noinline int read_quotation(struct __sk_buff *skb, const struct packet *packet, struct quotation *quotation)
{
	struct icmp_header icmp;
	__be16 ports[2];

	if (!packet || !quotation)
		return -1;
	quotation->family = packet->family;
	quotation->l3 = packet->l4 + sizeof(struct icmp_header);
	if (packet->family == 4 ? read_quoted_ipv4(skb, quotation) : read_quoted_ipv6(skb, quotation))
		return -1;
	if (has_ports(quotation->tuple.protocol)) {
		if (bpf_skb_load_bytes(skb, quotation->l4, ports, sizeof(ports)))
			return -1;
		quotation->tuple.source_port = ports[0];
		quotation->tuple.destination_port = ports[1];
	} else if (is_icmp(quotation->tuple.protocol)) {
		if (bpf_skb_load_bytes(skb, quotation->l4, &icmp, offsetof(struct icmp_header, sequence)))
			return -1;
		fill_icmp_tuple(&quotation->tuple, icmp.type, icmp.id);
	}
	return 0;
}

/* Replaces `size` bytes at `offset`, returns in `difference` what that adds to a sum over them. */
static __always_inline int replace_quoted(struct __sk_buff *skb, __u32 offset, void *from, void *to, __u32 size,
					  __u64 *difference)
{
	*difference += (__u32)bpf_csum_diff(from, size, to, size, 0);
	return bpf_skb_store_bytes(skb, offset, to, size, 0);
}

static __always_inline int translate_quoted_ipv4(struct __sk_buff *skb, const struct quotation *quotation,
						 const struct flow *flow, __u64 *difference)
{
	struct iphdr from, to;
	__u64 addresses;

	if (bpf_skb_load_bytes(skb, quotation->l3, &from, sizeof(from)))
		return -1;
	to = from;
	/* The quoted packet went against the flow. */
	to.saddr = address_to_v4(flow->destination);
	to.daddr = address_to_v4(flow->source);
	addresses = (__u64)(__u32)~from.saddr + (__u32)~from.daddr + to.saddr + to.daddr;
	to.check = checksum_adjust(from.check, addresses);
	return replace_quoted(skb, quotation->l3, &from, &to, sizeof(to), difference);
}

static __always_inline int translate_quoted_ipv6(struct __sk_buff *skb, const struct quotation *quotation,
						 const struct flow *flow, __u64 *difference)
{
	struct ip_address from[2], to[2] = {flow->destination, flow->source};
	__u32 offset = quotation->l3 + offsetof(struct ipv6hdr, saddr);

	if (bpf_skb_load_bytes(skb, offset, from, sizeof(from)))
		return -1;
	return replace_quoted(skb, offset, from, to, sizeof(to), difference);
}

static __always_inline int translate_quoted_ports(struct __sk_buff *skb, const struct quotation *quotation,
						  const struct flow *flow, __u64 *difference)
{
	__be16 from[2] = {quotation->tuple.source_port, quotation->tuple.destination_port};
	__be16 to[2] = {flow->destination_port, flow->source_port};

	if (has_ports(quotation->tuple.protocol))
		return replace_quoted(skb, quotation->l4, from, to, sizeof(to), difference);
	if (from[0] == to[0])
		return 0;
	/* An echo's identifier. */
	*difference += port_difference(from[0], to[0]);
	return bpf_skb_store_bytes(skb, quotation->l4 + offsetof(struct icmp_header, id), to, sizeof(to[0]), 0);
}

/* The quoted packet's own checksum, where the quotation is long enough to have it. */
static __always_inline int translate_quoted_checksum(struct __sk_buff *skb, const struct quotation *quotation,
						     const struct flow *flow, __u64 *difference)
{
	int offset = transport_checksum_offset(quotation->tuple.protocol);
	__u64 change = 0;
	__be16 from[2] = {}, to[2] = {};

	if (offset < 0 || bpf_skb_load_bytes(skb, quotation->l4 + offset, from, sizeof(from[0])))
		return 0;
	if (quotation->tuple.protocol == IPPROTO_UDP && !from[0])
		return 0;
	if (quotation->tuple.protocol != IPPROTO_ICMP)
		change = address_difference(quotation->tuple.source, flow->destination) +
			 address_difference(quotation->tuple.destination, flow->source);
	/* An echo has one identifier, which stands for both. */
	change += port_difference(quotation->tuple.source_port, flow->destination_port);
	if (has_ports(quotation->tuple.protocol))
		change += port_difference(quotation->tuple.destination_port, flow->source_port);
	to[0] = checksum_adjust(from[0], change);
	*difference += port_difference(from[0], to[0]);
	return bpf_skb_store_bytes(skb, quotation->l4 + offset, to, sizeof(to[0]), 0);
}

static __always_inline int translate_quotation(struct __sk_buff *skb, const struct packet *packet,
					       const struct quotation *quotation, const struct flow *flow)
{
	__u64 difference = 0;

	if (quotation->family == 4 ? translate_quoted_ipv4(skb, quotation, flow, &difference)
				   : translate_quoted_ipv6(skb, quotation, flow, &difference))
		return -1;
	if (translate_quoted_ports(skb, quotation, flow, &difference) ||
	    translate_quoted_checksum(skb, quotation, flow, &difference))
		return -1;
	return bpf_l4_csum_replace(skb, packet->l4 + offsetof(struct icmp_header, checksum), 0,
				   checksum_fold32(difference), 0);
}

/* The error's own way: as the flow's packets go, but from its true sender where that is not the flow's. */
static __always_inline int copy_error_flow(const struct packet *packet, const struct flow_tuple *tuple,
					   const struct flow *flow)
{
	struct flow *error = draft_flow();

	if (!error)
		return -1;
	*error = *flow;
	if (!address_equal(packet->tuple.source, tuple->source))
		error->source = packet->tuple.source;
	error->source_port = error->destination_port = 0;
	error->flags |= FLOW_REWRITE_SOURCE | FLOW_REWRITE_DESTINATION;
	return 0;
}

/*
 * An error about no flow that is known. Perhaps it is about one of the host's own, which is tracked only where the host
 * has policies, or about the tunnel; a pod has no flows but ours, nor does what is in the tunnel.
 */
static __always_inline int unrelated_icmp_error(struct __sk_buff *skb, const struct packet *packet,
						const struct flow_tuple *quoted, enum hook hook)
{
	if (hook == HOOK_FROM_POD || hook == HOOK_FROM_TUNNEL ||
	    find_address(&packet->tuple.destination).kind == ADDRESS_LOCAL_POD)
		return drop(skb, COUNTER_DROP_INVALID_ICMP);
	if (is_host_judged(skb, packet) && !is_tunnel_tuple(quoted))
		return drop(skb, COUNTER_DROP_INVALID_ICMP);
	return to_stack(skb);
}

/* Whether an error is about a flow that is known. */
__noinline int is_related_error(struct __sk_buff *skb, const struct packet *packet, __u32 hook)
{
	struct draft *draft = current_draft();

	if (!packet || !draft)
		return false;
	draft->quotation = (struct quotation){};
	if (read_quotation(skb, packet, &draft->quotation))
		return false;
	draft->asked = reversed(&draft->quotation.tuple);
	return find_flow_at(skb, &draft->asked, hook) != NULL;
}

/* Translates the quotation and fills draft_flow(): VERDICT_PROCEED by that flow, or the verdict. */
__noinline int prepare_icmp_error(struct __sk_buff *skb, const struct packet *packet, __u32 hook)
{
	struct draft *draft = current_draft();
	struct quotation *quotation;
	struct flow_tuple *tuple;
	struct flow *flow;

	if (!packet || !draft)
		return drop(skb, COUNTER_DROP_INVALID_ICMP);
	quotation = &draft->quotation;
	*quotation = (struct quotation){};
	if (read_quotation(skb, packet, quotation))
		return drop(skb, COUNTER_DROP_INVALID_ICMP);
	tuple = &draft->asked;
	*tuple = reversed(&quotation->tuple);
	flow = find_flow_at(skb, tuple, hook);
	if (!flow || (hook == HOOK_FROM_POD && flow->input_ifindex != skb->ifindex) || is_stale(tuple, flow))
		return unrelated_icmp_error(skb, packet, &quotation->tuple, hook);
	if (judge_again(tuple, flow) != ADMITTED)
		return drop(skb, COUNTER_DROP_INVALID_ICMP);
	if (copy_error_flow(packet, tuple, flow))
		return drop(skb, COUNTER_DROP_REWRITE_FAILED);
	if (flow->flags & (FLOW_REWRITE_SOURCE | FLOW_REWRITE_DESTINATION)) {
		if (translate_quotation(skb, packet, quotation, flow))
			return drop(skb, COUNTER_DROP_REWRITE_FAILED);
		count(skb, COUNTER_ICMP_ERRORS_TRANSLATED);
	}
	return VERDICT_PROCEED;
}

#endif
