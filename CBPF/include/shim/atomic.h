/* SPDX-License-Identifier: Apache-2.0 */
/* Ordered access to memory that the kernel maps: Swift's atomics cannot be laid over it. */
#ifndef CBPF_SHIM_ATOMIC_H
#define CBPF_SHIM_ATOMIC_H

#include <linux/types.h>

static inline __u64 cbpf_load_acquire_64(const void *address)
{
	return __atomic_load_n((const __u64 *)address, __ATOMIC_ACQUIRE);
}

static inline __u32 cbpf_load_acquire_32(const void *address)
{
	return __atomic_load_n((const __u32 *)address, __ATOMIC_ACQUIRE);
}

static inline void cbpf_store_release_64(void *address, __u64 value)
{
	__atomic_store_n((__u64 *)address, value, __ATOMIC_RELEASE);
}

static inline void cbpf_fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif
