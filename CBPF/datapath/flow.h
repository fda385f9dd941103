/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Connection tracking. A flow is two entries, one per direction, each under the tuple as it is on the wire. It begins
 * unconfirmed, and is confirmed when its opener answers the answer; both halves then move to map `flows`, and the
 * opener's half carries the timer that ends both.
 */
#ifndef MARTLET_FLOW_H
#define MARTLET_FLOW_H

#include "clock.h"
#include "counter.h"
#include "maps.h"
#include "packet.h"

#ifndef CLOCK_MONOTONIC
#define CLOCK_MONOTONIC 1
#endif

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

/* Timers that fall due within one such step fire together. */
#define EXPIRY_STEP (1ULL << 24)

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

	result.source = tuple->destination;
	result.destination = tuple->source;
	result.source_port = tuple->destination_port;
	result.destination_port = tuple->source_port;
	return result;
}

/* The key of the other half: the translated tuple, reversed. */
static __always_inline struct flow_tuple partner_tuple(const struct flow_tuple *tuple, const struct flow *flow)
{
	struct flow_tuple result = *tuple;

	result.source = flow->destination;
	result.destination = flow->source;
	result.source_port = flow->destination_port;
	result.destination_port = flow->source_port;
	return result;
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

static __always_inline void remove_flow(const struct flow_tuple *tuple, const struct flow *flow)
{
	struct flow_tuple partner = partner_tuple(tuple, flow);

	bpf_map_delete_elem(&flows, tuple);
	bpf_map_delete_elem(&flows, &partner);
	bpf_map_delete_elem(&unconfirmed_flows, tuple);
	bpf_map_delete_elem(&unconfirmed_flows, &partner);
}

static __always_inline bool is_idle(const struct flow_tuple *tuple, const struct flow *flow)
{
	return nanoseconds_since(flow->last_seen) > flow_timeout(tuple->protocol, flow->state);
}

static __always_inline __u64 rounded_delay(__u64 delay)
{
	return (delay + EXPIRY_STEP) & ~(EXPIRY_STEP - 1);
}

/*
 * When to look at a flow again that may be idle for `left` from now on. It is looked at as often as a closing one
 * needs, so that only the end of a flow, and not its closing, has to set the timer.
 */
static __always_inline __u64 check_delay(__u8 protocol, __u64 left)
{
	__u64 closing = flow_timeout(protocol, FLOW_CLOSING);

	return rounded_delay(left < closing ? left : closing);
}

/* The timer of a confirmed flow: ends both halves if both have been idle, else sleeps for what is left. */
static int expire_flow(void *map, struct flow_tuple *tuple, struct confirmed_flow *confirmed)
{
	struct flow_tuple partner = partner_tuple(tuple, &confirmed->flow);
	struct flow *reply = find_confirmed(&partner);
	__u64 timeout = flow_timeout(tuple->protocol, confirmed->flow.state);
	__u64 last = confirmed->flow.last_seen, idle;

	if (reply && reply->last_seen > last)
		last = reply->last_seen;
	idle = nanoseconds_since(last);
	if (idle < timeout) {
		bpf_timer_start(&confirmed->expiry, check_delay(tuple->protocol, timeout - idle), 0);
		return 0;
	}
	bpf_map_delete_elem(&flows, &partner);
	bpf_map_delete_elem(&flows, tuple);
	count_event(COUNTER_FLOWS_EXPIRED);
	return 0;
}

/* Starts the timer of the opener's half. */
static __always_inline int start_expiry(const struct flow_tuple *opener)
{
	struct confirmed_flow *confirmed = bpf_map_lookup_elem(&flows, opener);

	if (!confirmed || bpf_timer_init(&confirmed->expiry, &flows, CLOCK_MONOTONIC) ||
	    bpf_timer_set_callback(&confirmed->expiry, expire_flow))
		return -1;
	return bpf_timer_start(&confirmed->expiry,
			       check_delay(opener->protocol, flow_timeout(opener->protocol, confirmed->flow.state)), 0);
}

/* Lets the timer of a closed flow run out sooner. */
static __always_inline void hasten_expiry(const struct flow_tuple *opener)
{
	struct confirmed_flow *confirmed = bpf_map_lookup_elem(&flows, opener);

	if (confirmed)
		bpf_timer_start(&confirmed->expiry,
				check_delay(opener->protocol, flow_timeout(opener->protocol, FLOW_CLOSED)), 0);
}

/* Copies one half from the unconfirmed flows; -1 if there is no half or no room. */
static __always_inline int confirm_half(const struct flow_tuple *tuple)
{
	struct flow *flow = bpf_map_lookup_elem(&unconfirmed_flows, tuple);
	struct confirmed_flow confirmed = {};

	if (!flow)
		return -1;
	confirmed.flow = *flow;
	confirmed.flow.state = FLOW_ESTABLISHED;
	return bpf_map_update_elem(&flows, tuple, &confirmed, BPF_NOEXIST);
}

/*
 * Moves a flow to the confirmed ones. Without room it stays where it is, works on, and may be evicted by newer ones:
 * counted, never an error.
 */
__noinline int confirm_flow(struct __sk_buff *skb, const struct flow_tuple *opener)
{
	struct flow *flow;
	struct flow_tuple reply;

	if (!opener)
		return -1;
	flow = bpf_map_lookup_elem(&unconfirmed_flows, opener);
	if (!flow)
		return -1;
	reply = partner_tuple(opener, flow);
	if (confirm_half(&reply))
		goto no_reply;
	if (confirm_half(opener))
		goto no_room;
	if (start_expiry(opener))
		goto no_timer;
	bpf_map_delete_elem(&unconfirmed_flows, opener);
	bpf_map_delete_elem(&unconfirmed_flows, &reply);
	count(skb, COUNTER_FLOWS_CONFIRMED);
	return 0;
no_timer:
	bpf_map_delete_elem(&flows, opener);
no_room:
	bpf_map_delete_elem(&flows, &reply);
no_reply:
	count(skb, COUNTER_FLOWS_UNCONFIRMABLE);
	return -1;
}

/* A reset counts only if its sequence number is near what this side has sent (RFC 5961's idea, kept coarse). */
static __always_inline bool reset_plausible(const struct packet *packet, const struct flow *flow)
{
	return !flow->next_sequence || packet->sequence_end - flow->next_sequence + (1 << 20) < 1 << 21;
}

/* The state that this packet leaves `flow`, its own half, in. `other` is the other half, if there still is one. */
static __always_inline __u8 next_tcp_state(const struct packet *packet, struct flow *flow, const struct flow *other)
{
	if (packet->tcp_flags & TCP_RST)
		return reset_plausible(packet, flow) ? FLOW_CLOSED : flow->state;
	if (packet->tcp_flags & TCP_FIN) {
		flow->flags |= FLOW_FIN;
		return !other || other->flags & FLOW_FIN ? FLOW_CLOSED : FLOW_CLOSING;
	}
	return flow->state;
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
