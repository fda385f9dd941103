/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the kernel knows of a packet's buffer beyond struct __sk_buff. */
#ifndef MARTLET_BUFFER_H
#define MARTLET_BUFFER_H

#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* Who vouches for the transport checksum (include/linux/skbuff.h). */
enum checksum_state {
	CHECKSUM_NONE = 0,
	CHECKSUM_UNNECESSARY = 1, /* the device has verified it */
	CHECKSUM_COMPLETE = 2,	  /* the device has summed the whole packet */
	CHECKSUM_PARTIAL = 3,	  /* the sender has left all but the pseudo header to an offload */
};

/* Linux 6.2; costs nothing, the verifier puts a move in its place. */
extern void *bpf_cast_to_kern_ctx(void *context) __ksym;

/* The kernel's struct, of which relocation at load time finds the one member; not a layout of ours. */
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpadded"
struct sk_buff___checksum {
	__u8 ip_summed : 2;
} __attribute__((preserve_access_index));
#pragma clang diagnostic pop

static __always_inline enum checksum_state checksum_state(struct __sk_buff *skb)
{
	struct sk_buff___checksum *buffer = bpf_cast_to_kern_ctx(skb);

	return BPF_CORE_READ_BITFIELD(buffer, ip_summed);
}

#endif
