// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* How many packets there were of each size, to the next power of two. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

const char sizes_license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 17);
	__type(key, __u32);
	__type(value, __u64);
} sizes SEC(".maps");

SEC("tc") int count_sizes(struct __sk_buff *skb)
{
	__u32 size = 0;
	__u64 *count;

	while (size < 16 && 1U << size < skb->len)
		size++;
	count = bpf_map_lookup_elem(&sizes, &size);
	if (count)
		(*count)++;
	return TC_ACT_UNSPEC;
}
