// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "layout/conntrack.h"

const char datapath_license[] SEC("license") = "GPL";

SEC("tc") int from_pod(struct __sk_buff *skb)
{
	return 0;
}
