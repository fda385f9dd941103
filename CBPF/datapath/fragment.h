/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Fragments. Only a datagram's first fragment has ports: map `fragments` remembers them for those that follow. What
 * comes before its first is held in map `held_fragments`, and comes in anew once the first has been seen. Both maps are
 * bounded: least recently used datagrams are forgotten.
 */
#ifndef MARTLET_FRAGMENT_H
#define MARTLET_FRAGMENT_H

#include "counter.h"
#include "maps.h"
#include "verdict.h"

/* The longest fragment that can be held: a full Ethernet frame with a VLAN tag, in whole words. */
#define HELD_FRAGMENT_SIZE 1520
/* The most fragments of one datagram that are held: 16 make up for 23 kB that came in reverse. */
#define HELD_FRAGMENTS_MAX 16

struct held_fragment_key {
	struct fragment_key datagram;
	__u32 number; /* in order of arrival */
	__u32 reserved;
};

struct held_fragment {
	__u32 length;
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

static __always_inline struct fragment_key fragment_key(const struct packet *packet)
{
	return (struct fragment_key){
		.source = packet->tuple.source,
		.destination = packet->tuple.destination,
		.identification = packet->identification,
		.protocol = packet->tuple.protocol,
	};
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

/* Holds a fragment whose first has not been seen. The packet itself ends here. */
__noinline int hold_fragment(struct __sk_buff *skb, const struct packet *packet)
{
	struct held_fragment_key key = {};
	struct fragment_ports unseen = {}, *datagram;
	struct held_fragment *copy;

	if (!packet)
		return drop(skb, COUNTER_DROP_FRAGMENT);
	key.datagram = fragment_key(packet);
	bpf_map_update_elem(&fragments, &key.datagram, &unseen, BPF_NOEXIST);
	datagram = bpf_map_lookup_elem(&fragments, &key.datagram);
	copy = copy_fragment(skb);
	if (!datagram || !copy || datagram->held >= HELD_FRAGMENTS_MAX)
		return drop(skb, COUNTER_DROP_FRAGMENT);
	key.number = __sync_fetch_and_add(&datagram->held, 1);
	if (bpf_map_update_elem(&held_fragments, &key, copy, BPF_ANY))
		return drop(skb, COUNTER_DROP_FRAGMENT);
	count(skb, COUNTER_FRAGMENTS_HELD);
	return TC_ACT_SHOT;
}

/* Sends one held fragment into the hook again, by way of the first one's buffer. */
static __always_inline void release_fragment(struct __sk_buff *skb, const struct held_fragment_key *key, __u64 flags)
{
	struct held_fragment *held = bpf_map_lookup_elem(&held_fragments, key);

	if (held && !paste_fragment(skb, held))
		bpf_clone_redirect(skb, skb->ifindex, flags);
	bpf_map_delete_elem(&held_fragments, key);
}

/* Sends all that waited for this first fragment; they arrive after it. -1: its buffer could not be restored. */
__noinline int release_fragments(struct __sk_buff *skb, const struct packet *packet, __u32 count, __u32 hook)
{
	struct held_fragment_key key = {};
	struct held_fragment *first;
	__u32 i;

	if (!packet)
		return -1;
	first = copy_fragment(skb);
	if (!first)
		return -1;
	key.datagram = fragment_key(packet);
	for (i = 0; i < HELD_FRAGMENTS_MAX && i < count; i++) {
		key.number = i;
		release_fragment(skb, &key, from_stack(hook) ? 0 : BPF_F_INGRESS);
	}
	return paste_fragment(skb, first);
}

/* Remembers the ports of a first fragment; returns how many fragments have been waiting for it. */
__noinline __u32 remember_fragment(const struct packet *packet)
{
	struct fragment_ports ports = {.seen = 1}, *before;
	struct fragment_key key;
	__u32 waiting;

	if (!packet)
		return 0;
	key = fragment_key(packet);
	ports.source_port = packet->tuple.source_port;
	ports.destination_port = packet->tuple.destination_port;
	before = bpf_map_lookup_elem(&fragments, &key);
	waiting = before ? before->held : 0;
	bpf_map_update_elem(&fragments, &key, &ports, BPF_ANY);
	return waiting;
}

/* Gives a later fragment the ports of its first; -1 if that has not been seen. */
static __always_inline int recall_fragment(struct packet *packet)
{
	struct fragment_key key = fragment_key(packet);
	struct fragment_ports *ports = bpf_map_lookup_elem(&fragments, &key);

	if (!ports || !ports->seen)
		return -1;
	packet->tuple.source_port = ports->source_port;
	packet->tuple.destination_port = ports->destination_port;
	return 0;
}

/* Finds the ports of a fragment: VERDICT_PROCEED with them, or what becomes of it for now. */
static __always_inline int pass_fragment(struct __sk_buff *skb, struct packet *packet, __u32 hook)
{
	__u32 waiting;

	if (packet->fragment == FRAGMENT_FIRST) {
		waiting = remember_fragment(packet);
		if (waiting && release_fragments(skb, packet, waiting, hook))
			return drop(skb, COUNTER_DROP_FRAGMENT);
	} else if (packet->fragment == FRAGMENT_LATER && recall_fragment(packet)) {
		return hold_fragment(skb, packet);
	}
	return VERDICT_PROCEED;
}

#endif
