// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* The map `flows` of sample.bpf.c as another version might declare it: the same sizes, other members. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct flow_key {
	__u32 address;
	__u16 zone;
	__u16 port;
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

#pragma clang diagnostic ignored "-Wpadded"
struct padded_key {
	__u8 protocol;
	__u32 address;
	struct {
		__u16 first;
		__u8 second;
	} ranges[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, struct padded_key);
	__type(value, __u32);
} padded SEC(".maps");

SEC("tc") int look(struct __sk_buff *skb)
{
	struct flow_key key = {.port = 1};
	struct padded_key other = {.protocol = 6};

	return bpf_map_lookup_elem(&flows, &key) && bpf_map_lookup_elem(&padded, &other);
}

char licence[] SEC("license") = "Dual BSD/GPL";
