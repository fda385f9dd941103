// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* One program of each kind that the tests attach or run, and the maps they use. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

struct flow_key {
	__u32 address;
	__u16 port;
	__u16 zone;
};

struct flow_value {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, struct flow_key);
	__type(value, struct flow_value);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__uint(value_size, sizeof(__u32));
} tables SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} hits SEC(".maps");

const volatile __u32 added_mark = 1;
const volatile __u64 answer = 0;

static void hit(void)
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&hits, &zero);

	if (count)
		__sync_fetch_and_add(count, 1);
}

/* Leaves the packet alone. */
SEC("tc") int pass(struct __sk_buff *skb)
{
	hit();
	return TC_ACT_OK;
}

/* Passes on to the next program, so that the order shows. */
SEC("tc") int next(struct __sk_buff *skb)
{
	hit();
	return TC_ACT_UNSPEC;
}

SEC("tc") int add_mark(struct __sk_buff *skb)
{
	skb->mark += added_mark;
	skb->cb[1] = skb->mark;
	skb->priority = (__u32)answer;
	return TC_ACT_OK;
}

/* Changes one byte of the packet. */
SEC("tc") int rewrite(struct __sk_buff *skb)
{
	__u8 byte = 0xaa;

	return bpf_skb_store_bytes(skb, 0, &byte, sizeof(byte), 0) ? TC_ACT_SHOT : TC_ACT_OK;
}

/* Another verdict each time. */
SEC("tc") int alternate(struct __sk_buff *skb)
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&hits, &zero);

	return count && __sync_fetch_and_add(count, 1) % 2 ? TC_ACT_SHOT : TC_ACT_OK;
}

/* Makes the packet longer. */
SEC("tc") int grow(struct __sk_buff *skb)
{
	return bpf_skb_change_tail(skb, skb->len + 600, 0) ? TC_ACT_SHOT : TC_ACT_OK;
}

struct event {
	__u32 number;
	__u32 length;
};

/* Sends one event, after one that it gives up. */
SEC("tc") int send_event(struct __sk_buff *skb)
{
	struct event *given_up = bpf_ringbuf_reserve(&events, sizeof(*given_up), 0);

	if (given_up)
		bpf_ringbuf_discard(given_up, 0);
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event)
		return TC_ACT_SHOT;
	event->number = skb->mark;
	event->length = skb->len;
	bpf_ringbuf_submit(event, 0);
	return TC_ACT_OK;
}

SEC("xdp") int xdp_pass(struct xdp_md *context)
{
	hit();
	return XDP_PASS;
}

/* Adds one to the first byte of the metadata. */
SEC("xdp") int xdp_metadata(struct xdp_md *context)
{
	__u8 *metadata = (__u8 *)(long)context->data_meta;

	if (metadata + 1 > (__u8 *)(long)context->data)
		return XDP_ABORTED;
	++*metadata;
	return XDP_TX;
}

SEC("cgroup/connect4") int refuse(struct bpf_sock_addr *address)
{
	hit();
	return 0;
}

SEC("cgroup_skb/egress") int cgroup_mark(struct __sk_buff *skb)
{
	skb->mark = 5;
	return 1;
}

SEC("sk_lookup") int no_lookup(struct bpf_sk_lookup *lookup)
{
	hit();
	return SK_PASS;
}

SEC("syscall") int square(__u64 *number)
{
	*number *= *number;
	return 7;
}

char licence[] SEC("license") = "Dual BSD/GPL";
