/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Connection tracking. A flow is two entries, one per direction, each under the tuple as it is on the wire: how they
 * are found, what state they are in, and what a packet leaves behind in them.
 */
#ifndef MARTLET_FLOW_H
#define MARTLET_FLOW_H

#include "clock.h"
#include "counter.h"
#include "maps.h"
#include "packet.h"

#define SECONDS(n) ((n)*1000000000ULL)

/*
 * The established TCP timeout exceeds Linux's keepalive interval of two hours, so that a kept-alive connection is never
 * forgotten. Half-closed connections have five minutes to end.
 */
const volatile struct flow_timeouts flow_timeouts[FLOW_PROTOCOL_COUNT] = {
	/* new, replied, established, closing, closed */
	[FLOW_PROTOCOL_TCP] = {{SECONDS(60), SECONDS(60), SECONDS(3 * 3600), SECONDS(300), SECONDS(30)}},
	[FLOW_PROTOCOL_UDP] = {{SECONDS(30), SECONDS(60), SECONDS(180), SECONDS(180), SECONDS(180)}},
	[FLOW_PROTOCOL_SCTP] = {{SECONDS(30), SECONDS(30), SECONDS(300), SECONDS(30), SECONDS(10)}},
	[FLOW_PROTOCOL_ICMP] = {{SECONDS(30), SECONDS(30), SECONDS(30), SECONDS(30), SECONDS(30)}},
	[FLOW_PROTOCOL_OTHER] = {{SECONDS(60), SECONDS(120), SECONDS(600), SECONDS(600), SECONDS(600)}},
};

enum sctp_chunk {
	SCTP_INIT = 1,
	SCTP_INIT_ACK = 2,
	SCTP_ABORT = 6,
	SCTP_SHUTDOWN = 7,
	SCTP_SHUTDOWN_ACK = 8,
	SCTP_SHUTDOWN_COMPLETE = 14,
};

static __always_inline __u32 flow_protocol(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return FLOW_PROTOCOL_TCP;
	case IPPROTO_UDP:
		return FLOW_PROTOCOL_UDP;
	case IPPROTO_SCTP:
		return FLOW_PROTOCOL_SCTP;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return FLOW_PROTOCOL_ICMP;
	default:
		return FLOW_PROTOCOL_OTHER;
	}
}

static __always_inline __u64 flow_timeout(__u8 protocol, __u8 state)
{
	return flow_timeouts[flow_protocol(protocol)].state[state <= FLOW_CLOSED ? state : FLOW_CLOSED];
}

static __always_inline struct flow_tuple reversed(const struct flow_tuple *tuple)
{
	struct flow_tuple result = *tuple;

	result.icmp_answer ^= is_icmp(tuple->protocol);
	result.source = tuple->destination;
	result.destination = tuple->source;
	result.source_port = tuple->destination_port;
	result.destination_port = tuple->source_port;
	return result;
}

/* Writes the key of the other half: the translated tuple, reversed. */
static __always_inline void write_partner(struct flow_tuple *partner, const struct flow_tuple *tuple,
					  const struct flow *flow)
{
	partner->source = flow->destination;
	partner->destination = flow->source;
	partner->source_port = flow->destination_port;
	partner->destination_port = flow->source_port;
	partner->protocol = tuple->protocol;
	partner->zone = tuple->zone ^ (flow->flags & FLOW_RETURNED ? ZONE_RETURNED : 0);
	partner->icmp_query = tuple->icmp_query;
	partner->icmp_answer = tuple->icmp_answer ^ is_icmp(tuple->protocol);
}

static __always_inline struct flow_tuple partner_tuple(const struct flow_tuple *tuple, const struct flow *flow)
{
	struct flow_tuple result;

	write_partner(&result, tuple, flow);
	return result;
}

static __always_inline bool same_ends(const struct flow_tuple *one, const struct flow_tuple *other)
{
	return address_equal(one->source, other->source) && address_equal(one->destination, other->destination) &&
	       one->source_port == other->source_port && one->destination_port == other->destination_port &&
	       one->zone == other->zone;
}

static __always_inline struct flow *find_confirmed(const struct flow_tuple *tuple)
{
	struct confirmed_flow *confirmed = bpf_map_lookup_elem(&flows, tuple);

	return confirmed ? &confirmed->flow : NULL;
}

static __always_inline struct flow *find_flow(const struct flow_tuple *tuple)
{
	struct flow *flow = find_confirmed(tuple);

	return flow ? flow : bpf_map_lookup_elem(&unconfirmed_flows, tuple);
}

static __always_inline void remove_halves(const struct flow_tuple *tuple, const struct flow_tuple *partner)
{
	bpf_map_delete_elem(&flows, tuple);
	bpf_map_delete_elem(&flows, partner);
	bpf_map_delete_elem(&unconfirmed_flows, tuple);
	bpf_map_delete_elem(&unconfirmed_flows, partner);
}

/* Removes both halves of a flow. Global, to keep the other half's key out of its callers' stacks. */
__noinline int remove_flow(const struct flow_tuple *tuple, const struct flow *flow)
{
	struct flow_tuple partner;

	if (!tuple || !flow)
		return -1;
	partner = partner_tuple(tuple, flow);
	remove_halves(tuple, &partner);
	return 0;
}

static __always_inline bool is_idle(const struct flow_tuple *tuple, const struct flow *flow)
{
	return nanoseconds_since(flow->last_seen) > flow_timeout(tuple->protocol, flow->state);
}

/* Whether the policies, or the pods, have changed since the flow was judged. */
static __always_inline bool is_outdated(const struct flow *flow)
{
	struct settings *current = current_settings();

	return current && current->policy_generation != flow->policy_generation;
}

/*
 * Whether a reset or a FIN is far from what this side has sent: further than a large window (RFC 5961's idea). The
 * receiver will ignore it; here a forged one must not end the flow.
 */
static __always_inline bool is_implausible_end(const struct packet *packet, const struct flow *flow)
{
	return packet->tuple.protocol == IPPROTO_TCP && packet->tcp_flags & (TCP_RST | TCP_FIN) &&
	       flow->next_sequence && packet->sequence_end - flow->next_sequence + (1 << 20) >= 1 << 21;
}

/* The state that this packet leaves `flow`, its own half, in. */
static __always_inline __u8 next_tcp_state(const struct packet *packet, struct flow *flow, const struct flow *other)
{
	if (packet->tcp_flags & TCP_RST)
		return FLOW_CLOSED;
	if (!(packet->tcp_flags & TCP_FIN))
		return flow->state;
	flow->flags |= FLOW_FIN;
	return other->flags & FLOW_FIN ? FLOW_CLOSED : FLOW_CLOSING;
}

static __always_inline __u8 next_sctp_state(const struct packet *packet, const struct flow *flow)
{
	switch (packet->sctp_chunk) {
	case SCTP_ABORT:
	case SCTP_SHUTDOWN_COMPLETE:
		return FLOW_CLOSED;
	case SCTP_SHUTDOWN:
	case SCTP_SHUTDOWN_ACK:
		return FLOW_CLOSING;
	default:
		return flow->state;
	}
}

static __always_inline __u8 next_state(const struct packet *packet, struct flow *flow, const struct flow *other)
{
	__u8 state = flow->state;

	if (packet->tuple.protocol == IPPROTO_TCP)
		state = next_tcp_state(packet, flow, other);
	else if (packet->tuple.protocol == IPPROTO_SCTP)
		state = next_sctp_state(packet, flow);
	if (state == FLOW_NEW && !(flow->flags & FLOW_OPENER))
		state = FLOW_REPLIED;
	/* States only move on. */
	return state > flow->state ? state : flow->state;
}

/* What every packet of a flow leaves behind. Not atomic: packets of one direction rarely meet on two CPUs. */
static __always_inline void touch(const struct packet *packet, struct flow *flow)
{
	flow->last_seen = ticks();
	flow->packets++;
	flow->bytes += packet->l3_length;
	if (packet->tuple.protocol == IPPROTO_TCP &&
	    (!flow->next_sequence || (__s32)(packet->sequence_end - flow->next_sequence) > 0))
		flow->next_sequence = packet->sequence_end;
}

#endif
