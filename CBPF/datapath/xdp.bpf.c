// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The first hook of a NIC, ahead of the kernel's own buffers: here a flood is cheapest to drop. It drops what the tc
 * hook would drop by the same tables before it tracks anything (untracked.h), and leaves all else to it, also what it
 * allows: the tc hook asks again, since a packet cannot bring a verdict along through every driver.
 */
#include "address.h"
#include "host_endpoint.h"
#include "ipv6_walk.h"
#include "tunnel_port.h"

const char xdp_license[] SEC("license") = "GPL";

static __always_inline int read_ipv4(struct xdp_md *context, struct policy_subject *subject, __u32 *transport)
{
	struct iphdr ip;

	if (bpf_xdp_load_bytes(context, ETH_HLEN, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
		return -1;
	subject->family = 4;
	subject->tuple.source = address_from_v4(ip.saddr);
	subject->tuple.destination = address_from_v4(ip.daddr);
	subject->tuple.protocol = ip.protocol;
	*transport = ETH_HLEN + ip.ihl * 4;
	return ip.frag_off & bpf_htons(0x1fff) ? -1 : 0;
}

static __always_inline int read_ipv6(struct xdp_md *context, struct policy_subject *subject, __u32 *transport)
{
	struct ipv6_walk walk = {.offset = ETH_HLEN + sizeof(struct ipv6hdr)};
	struct ipv6hdr ip;
	__u8 head[8];
	int i;

	if (bpf_xdp_load_bytes(context, ETH_HLEN, &ip, sizeof(ip)) || ip.version != 6)
		return -1;
	walk.next = ip.nexthdr;
	for (i = 0; i < IPV6_EXTENSIONS_MAX && ipv6_is_extension(walk.next); i++)
		if (bpf_xdp_load_bytes(context, walk.offset, head, sizeof(head)) || !ipv6_step_over(&walk, head))
			return -1;
	subject->family = 6;
	subject->tuple.source = address_from_v6(&ip.saddr);
	subject->tuple.destination = address_from_v6(&ip.daddr);
	subject->tuple.protocol = walk.next;
	*transport = walk.offset;
	return 0;
}

/* Reads ports, or type and code. */
static __always_inline int read_transport(struct xdp_md *context, struct policy_subject *subject, __u32 offset)
{
	__be16 ports[2];
	__u8 message[2];

	if (has_ports(subject->tuple.protocol)) {
		if (bpf_xdp_load_bytes(context, offset, ports, sizeof(ports)))
			return -1;
		subject->tuple.source_port = ports[0];
		subject->tuple.destination_port = ports[1];
	} else if (subject->tuple.protocol == IPPROTO_ICMP || subject->tuple.protocol == IPPROTO_ICMPV6) {
		if (bpf_xdp_load_bytes(context, offset, message, sizeof(message)))
			return -1;
		subject->icmp = message[0] << 8 | message[1];
	}
	return 0;
}

/* Fills in the packet as policy sees it; -1 for what is left to the tc hook: later fragments, and what is malformed. */
static __always_inline int read_packet(struct xdp_md *context, struct policy_subject *subject)
{
	__u32 transport = 0;
	__be16 protocol;

	*subject = (struct policy_subject){.version = current_policy_version()};
	if (bpf_xdp_load_bytes(context, offsetof(struct ethhdr, h_proto), &protocol, sizeof(protocol)))
		return -1;
	switch (protocol) {
	case bpf_htons(ETH_P_IP):
		return read_ipv4(context, subject, &transport) ? -1 : read_transport(context, subject, transport);
	case bpf_htons(ETH_P_IPV6):
		return read_ipv6(context, subject, &transport) ? -1 : read_transport(context, subject, transport);
	default:
		return -1;
	}
}

/* Neighbour discovery, group membership and the tunnel between nodes are never closed. */
static __always_inline bool is_always_open(const struct policy_subject *subject)
{
	__u8 type = subject->icmp >> 8;

	if (subject->tuple.protocol == IPPROTO_UDP)
		return is_tunnel_arrival(&subject->tuple);
	return subject->tuple.protocol == IPPROTO_ICMPV6 &&
	       ((type >= ICMPV6_MLD_FIRST && type <= ICMPV6_DISCOVERY_LAST) || type == ICMPV6_MLD2_REPORT);
}

static __always_inline int drop_on_wire(struct xdp_md *context, __u32 reason)
{
	struct counter_value *value = bpf_map_lookup_elem(&counters, &reason);

	if (value) {
		value->packets++;
		value->bytes += bpf_xdp_get_buff_len(context) - ETH_HLEN;
	}
	return XDP_DROP;
}

/* A packet that arrives at a NIC. */
SEC("xdp") int from_wire(struct xdp_md *context)
{
	struct policy_scratch *scratch = current_policy_scratch();
	bool of_host;
	int action;

	if (!scratch || read_packet(context, &scratch->subject) || is_always_open(&scratch->subject))
		return XDP_PASS;
	if (is_blocked(&scratch->subject.tuple.source))
		return drop_on_wire(context, COUNTER_DROP_BLOCKED);
	of_host = find_address(&scratch->subject.tuple.destination).kind == ADDRESS_THIS_NODE;
	action = judge_untracked(scratch, context->ingress_ifindex, false, of_host);
	/* The tc hook says so as well. */
	if (is_overtaken(&scratch->subject))
		return XDP_PASS;
	/* Who is to be told is told by the tc hook. */
	return action == POLICY_DENY ? drop_on_wire(context, COUNTER_DROP_HOST_POLICY) : XDP_PASS;
}
