/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Fragments. Only a datagram's first fragment has ports: map `fragments` remembers them for those that follow. What
 * comes before its first is held in map `held_fragments`, and comes in anew once the first has been seen. A datagram is
 * forgotten when it is complete or has taken too long. Both maps are bounded: least recently used ones go first.
 */
#ifndef MARTLET_FRAGMENT_H
#define MARTLET_FRAGMENT_H

#include "counter.h"
#include "flow.h"
#include "host_business.h"
#include "maps.h"
#include "sender.h"
#include "verdict.h"

/* The longest fragment that can be held: a full Ethernet frame with a VLAN tag, in whole words. */
#define HELD_FRAGMENT_SIZE 1520
/* The most fragments of one datagram that are held: 16 make up for 23 kB that came in reverse. */
#define HELD_FRAGMENTS_MAX 16
/* How long a datagram may take to come in: the kernel's own patience (ipfrag_time, ip6frag_time). */
#define FRAGMENT_TIMEOUT SECONDS(30)

struct held_fragment_key {
	struct fragment_key datagram;
	__u32 number; /* in order of arrival */
	__u32 reserved;
};

struct held_fragment {
	__u64 begun; /* as in the entry of its datagram: an earlier one's is none of this one */
	__u32 length;
	__u32 reserved;
	__u8 bytes[HELD_FRAGMENT_SIZE];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 10);
	__type(key, struct held_fragment_key);
	__type(value, struct held_fragment);
} held_fragments SEC(".maps");

/* Working memory: the fragment in hand. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct held_fragment);
} fragment_scratch SEC(".maps");

static __always_inline struct fragment_key fragment_key(const struct __sk_buff *skb, const struct packet *packet,
							enum hook hook)
{
	return (struct fragment_key){
		.source = packet->tuple.source,
		.destination = packet->tuple.destination,
		.identification = packet->identification,
		.ifindex = skb->ifindex,
		.protocol = packet->family == 4 ? packet->tuple.protocol : 0,
		.egress = from_stack(hook),
	};
}

/* What is known of a datagram. One that has taken too long is forgotten: its identification may be another's by now. */
static __always_inline struct fragmented_datagram *find_datagram(const struct fragment_key *key)
{
	struct fragmented_datagram *found = bpf_map_lookup_elem(&fragments, key);

	if (!found || nanoseconds_since(found->begun) <= FRAGMENT_TIMEOUT)
		return found;
	bpf_map_delete_elem(&fragments, key);
	return NULL;
}

/* Bytes of the datagram that the fragment has. */
static __always_inline __u32 fragment_length(const struct packet *packet)
{
	return packet->l3_length - (packet->l4 - packet->l3);
}

/* Where a later fragment is in its datagram, as in an IPv6 fragment header: upper 13 bits; lowest bit: more follow. */
static __always_inline __u16 fragment_place(struct __sk_buff *skb, const struct packet *packet)
{
	__u32 offset = packet->family == 4 ? packet->l3 + offsetof(struct iphdr, frag_off) : packet->l4 - 6;
	__be16 field = 0;
	__u16 place;

	bpf_skb_load_bytes(skb, offset, &field, sizeof(field));
	place = bpf_ntohs(field);
	return packet->family == 4 ? place << 3 | (place >> 13 & 1) : place;
}

/*
 * Counts a later fragment in; whether that completes the datagram. One of which a fragment has come twice, or whose
 * fragments overlap, is not found complete, and forgotten later.
 */
static __always_inline bool is_completed(struct __sk_buff *skb, const struct packet *packet,
					 struct fragmented_datagram *datagram)
{
	__u32 length = fragment_length(packet);
	__u16 place = fragment_place(skb, packet);

	if (!(place & 1))
		datagram->length = (place & ~7) + length;
	return __sync_fetch_and_add(&datagram->received, length) + length == datagram->length;
}

static __always_inline struct held_fragment *copy_fragment(struct __sk_buff *skb)
{
	__u32 zero = 0, length = skb->len;
	struct held_fragment *copy = bpf_map_lookup_elem(&fragment_scratch, &zero);

	if (!copy || length < ETH_HLEN || length > HELD_FRAGMENT_SIZE)
		return NULL;
	copy->length = length;
	return bpf_skb_load_bytes(skb, 0, copy->bytes, length) ? NULL : copy;
}

static __always_inline int paste_fragment(struct __sk_buff *skb, const struct held_fragment *copy)
{
	__u32 length = copy->length;

	if (length < ETH_HLEN || length > HELD_FRAGMENT_SIZE || bpf_skb_change_tail(skb, length, 0))
		return -1;
	return bpf_skb_store_bytes(skb, 0, copy->bytes, length, BPF_F_RECOMPUTE_CSUM);
}

/*
 * Holds a fragment whose first has not been seen; the packet itself ends here. VERDICT_PROCEED: its first one has come
 * meanwhile, on another processor, and it need not wait. Who of both takes it out of the map lets it go.
 */
__noinline int hold_fragment(struct __sk_buff *skb, const struct packet *packet, __u32 hook)
{
	struct fragmented_datagram unseen = {.begun = ticks()}, *datagram;
	struct held_fragment_key key = {};
	struct held_fragment *copy;

	if (!packet)
		return drop(skb, COUNTER_DROP_FRAGMENT);
	key.datagram = fragment_key(skb, packet, hook);
	bpf_map_update_elem(&fragments, &key.datagram, &unseen, BPF_NOEXIST);
	datagram = bpf_map_lookup_elem(&fragments, &key.datagram);
	copy = copy_fragment(skb);
	if (!datagram || !copy || datagram->held >= HELD_FRAGMENTS_MAX)
		return drop(skb, COUNTER_DROP_FRAGMENT);
	copy->begun = datagram->begun;
	key.number = __sync_fetch_and_add(&datagram->held, 1);
	if (bpf_map_update_elem(&held_fragments, &key, copy, BPF_ANY))
		return drop(skb, COUNTER_DROP_FRAGMENT);
	datagram = bpf_map_lookup_elem(&fragments, &key.datagram);
	if (datagram && datagram->seen && !bpf_map_delete_elem(&held_fragments, &key))
		return VERDICT_PROCEED;
	count(skb, COUNTER_FRAGMENTS_HELD);
	return TC_ACT_SHOT;
}

/* Sends one held fragment into the hook again, by way of the first one's buffer. */
static __always_inline void release_fragment(struct __sk_buff *skb, const struct held_fragment_key *key, __u64 begun,
					     __u64 flags)
{
	struct held_fragment *held = bpf_map_lookup_elem(&held_fragments, key);

	bool pasted = held && held->begun == begun && !paste_fragment(skb, held);

	if (!bpf_map_delete_elem(&held_fragments, key) && pasted)
		bpf_clone_redirect(skb, skb->ifindex, flags);
}

/*
 * Sends all that waited for this first fragment, in a datagram begun then; they arrive after it. -1: its buffer could
 * not be restored.
 */
__noinline int release_fragments(struct __sk_buff *skb, const struct packet *packet, __u32 count, __u64 begun,
				 __u32 hook)
{
	struct held_fragment_key key = {};
	struct held_fragment *first;
	__u32 i;

	if (!packet)
		return -1;
	first = copy_fragment(skb);
	if (!first)
		return -1;
	key.datagram = fragment_key(skb, packet, hook);
	for (i = 0; i < HELD_FRAGMENTS_MAX && i < count; i++) {
		key.number = i;
		release_fragment(skb, &key, begun, from_stack(hook) ? 0 : BPF_F_INGRESS);
	}
	return paste_fragment(skb, first);
}

/*
 * Remembers the ports of a first fragment, and lets those go that have been waiting for it. An entry that others wait
 * in is kept; one that has a first fragment already is an earlier datagram's. Who holds a fragment meanwhile counts it
 * and then looks whether its first has been seen, and here it is the other way round: one of both finds the other.
 */
static __always_inline int pass_first_fragment(struct __sk_buff *skb, const struct packet *packet,
					       const struct fragment_key *key, enum hook hook)
{
	struct fragmented_datagram *before = find_datagram(key);
	struct fragmented_datagram first = {
		.begun = ticks(),
		.source_port = packet->tuple.source_port,
		.destination_port = packet->tuple.destination_port,
		.protocol = packet->tuple.protocol,
		.icmp_type = packet->icmp_type,
		.icmp_code = packet->icmp_code,
		.seen = 1,
		.received = fragment_length(packet),
	};
	__u32 waiting;

	if (!before && bpf_map_update_elem(&fragments, key, &first, BPF_NOEXIST))
		before = find_datagram(key);
	if (!before)
		return VERDICT_PROCEED;
	if (before->seen) {
		bpf_map_update_elem(&fragments, key, &first, BPF_ANY);
		return VERDICT_PROCEED;
	}
	before->source_port = first.source_port;
	before->destination_port = first.destination_port;
	before->protocol = first.protocol;
	before->icmp_type = first.icmp_type;
	before->icmp_code = first.icmp_code;
	before->received = first.received;
	/* Fully ordered, as an exchange is. */
	if (__sync_lock_test_and_set(&before->seen, 1))
		return VERDICT_PROCEED;
	waiting = before->held;
	before->released = waiting < HELD_FRAGMENTS_MAX ? waiting : HELD_FRAGMENTS_MAX;
	if (waiting && release_fragments(skb, packet, waiting, before->begun, hook))
		return drop(skb, COUNTER_DROP_FRAGMENT);
	return VERDICT_PROCEED;
}

/* Whether a fragment comes in again, after it has been held: what the tunnel's device brought along it brings no more.
 */
__noinline int comes_in_again(struct __sk_buff *skb, const struct packet *packet, __u32 hook)
{
	struct fragmented_datagram *datagram;
	struct fragment_key key;

	if (!packet || packet->fragment != FRAGMENT_LATER)
		return false;
	key = fragment_key(skb, packet, hook);
	datagram = bpf_map_lookup_elem(&fragments, &key);
	if (!datagram || !datagram->seen || !datagram->released)
		return false;
	datagram->released--;
	return true;
}

/* Gives a later fragment what its first says of both: protocol, ports, ICMP type; -1 if that has not been seen. */
static __always_inline int recall_fragment(struct __sk_buff *skb, struct packet *packet, const struct fragment_key *key)
{
	struct fragmented_datagram *datagram = find_datagram(key);

	if (!datagram || !datagram->seen)
		return -1;
	packet->tuple.protocol = datagram->protocol;
	packet->tuple.source_port = datagram->source_port;
	packet->tuple.destination_port = datagram->destination_port;
	if (is_icmp(datagram->protocol)) {
		packet->icmp_type = datagram->icmp_type;
		packet->icmp_code = datagram->icmp_code;
		fill_icmp_tuple(&packet->tuple, datagram->icmp_type, datagram->source_port);
	}
	if (is_completed(skb, packet, datagram))
		bpf_map_delete_elem(&fragments, key);
	return 0;
}

/*
 * Finds the ports of a fragment, once: VERDICT_PROCEED with them, or what becomes of it for now. Of what a pod sends
 * from an address that it may not use nothing is kept; on its own link it has some that nobody has told us.
 */
__noinline int pass_fragment(struct __sk_buff *skb, struct packet *packet, __u32 hook)
{
	struct fragment_key key;
	int result;

	if (!packet)
		return drop(skb, COUNTER_DROP_FRAGMENT);
	if (packet->has_passed_fragments)
		return VERDICT_PROCEED;
	packet->has_passed_fragments = 1;
	if (hook == HOOK_FROM_POD && !is_link_scoped(packet->tuple.destination, packet->family, hook) &&
	    !source_valid(skb, packet, find_address(&packet->tuple.source), hook))
		return drop(skb, COUNTER_DROP_SOURCE_ADDRESS);
	key = fragment_key(skb, packet, hook);
	if (packet->fragment == FRAGMENT_FIRST)
		return pass_first_fragment(skb, packet, &key, hook);
	if (recall_fragment(skb, packet, &key)) {
		result = hold_fragment(skb, packet, hook);
		if (result != VERDICT_PROCEED)
			return result;
		if (recall_fragment(skb, packet, &key))
			return drop(skb, COUNTER_DROP_FRAGMENT);
	}
	/* Errors fit any link; what follows a first one is no error by itself. */
	return packet_is_icmp_error(packet) ? drop(skb, COUNTER_DROP_FRAGMENT) : VERDICT_PROCEED;
}

#endif
