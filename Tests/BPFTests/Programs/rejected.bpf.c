// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* A program that the verifier must refuse, beside one that is fine. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

SEC("tc") int fine(struct __sk_buff *skb)
{
	return TC_ACT_OK;
}

SEC("tc") int no_null_check(struct __sk_buff *skb)
{
	__u32 key = skb->ifindex;
	__u64 *count = bpf_map_lookup_elem(&counts, &key);

	return *count == 0 ? TC_ACT_OK : TC_ACT_SHOT; /* the look-up may have found nothing */
}

char licence[] SEC("license") = "Dual BSD/GPL";
