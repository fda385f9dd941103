/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The clock of flows is the kernel's tick counter, which the verifier turns into a load (do_misc_fixups() in
 * kernel/bpf/verifier.c). Asking for nanoseconds takes a third of the time of a whole established packet, and timeouts
 * are in seconds.
 */
#ifndef MARTLET_CLOCK_H
#define MARTLET_CLOCK_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* How long a tick is (CONFIG_HZ); measured and set by user space. */
const volatile __u64 tick_nanoseconds = 4000000;

static __always_inline __u64 ticks(void)
{
	return bpf_jiffies64();
}

static __always_inline __u64 nanoseconds_since(__u64 tick)
{
	return (ticks() - tick) * tick_nanoseconds;
}

#endif
