/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Incremental checksums (RFC 1624), and SCTP's CRC32c. Sums are over words as they lie in memory. */
#ifndef MARTLET_CHECKSUM_H
#define MARTLET_CHECKSUM_H

#include "packet.h"

static __always_inline __u32 checksum_fold32(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (sum & 0xffffffff) + (sum >> 32);
}

static __always_inline __sum16 checksum_fold(__u64 sum)
{
	__u32 folded = checksum_fold32(sum);

	folded = (folded & 0xffff) + (folded >> 16);
	folded = (folded & 0xffff) + (folded >> 16);
	return ~folded;
}

/* What turns a sum over `from` into one over `to`, unfolded. */
static __always_inline __u64 address_difference(struct ip_address from, struct ip_address to)
{
	return (__u64)(__u32)~from.high + (__u32) ~(from.high >> 32) + (__u32)~from.low + (__u32) ~(from.low >> 32) +
	       (__u32)to.high + (__u32)(to.high >> 32) + (__u32)to.low + (__u32)(to.low >> 32);
}

static __always_inline __u32 port_difference(__be16 from, __be16 to)
{
	return (__u32)(__u16)~from + to;
}

/* A header checksum after words that differ by `difference` have been replaced below it. */
static __always_inline __sum16 checksum_adjust(__sum16 checksum, __u64 difference)
{
	return checksum_fold((__u64)(__u16)~checksum + difference);
}

/*
 * CRC32c is linear: crc(a ^ b ^ c) = crc(a) ^ crc(b) ^ crc(c) for equal lengths. So a change of the four bytes of ports
 * changes the checksum by the CRC (with no initial value) of that change followed by as many zero bytes as follow the
 * ports, which is the change times x^8n modulo the polynomial. Bit 31 is x^0, as in the reflected algorithm.
 */
#define CRC32C_POLYNOMIAL  0x82f63b78
#define CRC32C_LENGTH_BITS 16

/* x^(8 * 2^i) modulo the polynomial. */
static const __u32 crc32c_shift[CRC32C_LENGTH_BITS] = {
	0x00800000, 0x00008000, 0x82f63b78, 0x6ea2d55c, 0x18b8ea18, 0x510ac59a, 0xb82be955, 0xb8fdb1e7,
	0x88e56f72, 0x74c360a4, 0xe4172b16, 0x0d65762a, 0x35d73a62, 0x28461564, 0xbf455269, 0xe2ea32dc,
};

static __always_inline __u32 crc32c_multiply(__u32 a, __u32 b)
{
	__u32 product = 0;
	int i;

	for (i = 0; i < 32; i++) {
		product ^= -(a >> 31) & b;
		a <<= 1;
		b = b >> 1 ^ (-(b & 1) & CRC32C_POLYNOMIAL);
	}
	return product;
}

/*
 * How the CRC32c of a packet of `length` bytes changes when its first four bytes change by `change` (exclusive or, as
 * they lie in memory). Little endian, as SCTP stores it.
 */
__noinline __u32 crc32c_difference(__u32 change, __u32 length)
{
	__u32 factor = 0x80000000; /* 1 */
	int i;

	for (i = 0; i < CRC32C_LENGTH_BITS; i++)
		if (length >> i & 1)
			factor = crc32c_multiply(factor, crc32c_shift[i]);
	return crc32c_multiply(change, factor);
}

#endif
