/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#ifndef MARTLET_LAYOUT_SERVICE_H
#define MARTLET_LAYOUT_SERVICE_H

#include "layout/address.h"

/* Map `frontends`: where a service answers. Exact match. */
struct frontend_key {
	struct ip_address address;
	__be16 port;   /* network byte order */
	__u8 protocol; /* IPPROTO_* */
	__u8 reserved[5];
};

/*
 * A run of entries of map `backends` (or of `maglev`). Entries of a slice in use never change. Those of `backends` are
 * sorted: local ones first, then by address and port, so that one can be found by halving.
 */
struct backend_slice {
	__u32 offset; /* index of the first entry */
	__u32 count;  /* 0: the slice is empty */
};

enum frontend_flag {
	/* External traffic policy: clients from outside use `local`, those of this node use `cluster`. */
	FRONTEND_EXTERNAL_LOCAL = 1 << 0,
	/* Internal traffic policy: everyone uses `local`. */
	FRONTEND_INTERNAL_LOCAL = 1 << 1,
	/* Some endpoint exists in the cluster although the slices here may be empty: drop where else we refuse. */
	FRONTEND_HAS_ENDPOINTS = 1 << 2,
	/* Look in map `source_ranges` first. */
	FRONTEND_SOURCE_RANGES = 1 << 3,
	/* Choose through `maglev` instead of at random. */
	FRONTEND_MAGLEV = 1 << 4,
	/* Prefer direct server return over the tunnel for backends on other nodes. */
	FRONTEND_DSR = 1 << 5,
	/* Reached from outside: node port, external IP or load-balancer IP (not the cluster IP). */
	FRONTEND_EXTERNAL = 1 << 6,
};

/* Map `frontends`, value. Replaced in one update: a packet sees the old slices or the new, never a mixture. */
struct frontend {
	__u32 service; /* id of the service port, the same for all its frontends; never 0 */
	__u32 flags;   /* enum frontend_flag */
	struct backend_slice cluster;
	struct backend_slice local;
	struct backend_slice maglev; /* entries are indexes into `backends`; count is the table's size, a prime */
	__u32 affinity_timeout;	     /* seconds; 0: no session affinity */
	__u32 reserved;
};

enum backend_flag {
	BACKEND_LOCAL = 1 << 0, /* on this node */
};

/* Map `backends`: array, memory-mapped by user space. */
struct backend {
	struct ip_address address;
	__be16 port; /* network byte order */
	__u16 flags; /* enum backend_flag */
	__u32 node;  /* index in `nodes` of the other node that it is on; 0: this one, or not known */
};

/*
 * Map `source_ranges`: longest-prefix match on the client's address within one service. Value: __u32, the range's
 * family, 4 or 6: a short IPv6 range has IPv4's addresses, as they are written here, in it, and admits none of them.
 */
struct source_range_key {
	__u32 length;  /* bits that count: 32 for `service` plus those of `address` */
	__u32 service; /* big-endian, so that a prefix covers it first */
	__u8 address[16];
};

/* Map `affinity`: least-recently-used hash. Which backend a client got last. */
struct affinity_key {
	struct ip_address client;
	__u32 service;
	__u32 reserved;
};

struct affinity {
	struct ip_address address;
	__be16 port;
	__u16 flags; /* enum backend_flag, as the backend had */
	__u32 reserved;
	__u64 last_used; /* nanoseconds of CLOCK_MONOTONIC (bpf_ktime_get_ns); restarted by each new connection */
};

/*
 * Map `revocations`: least-recently-used hash. What UDP flows rest on no longer: a backend of a service port, one of
 * its frontends, or all of its backends on another node. Value: __u32, the service generation since which. An older
 * flow is decided anew by its opener's next packet.
 */
struct revocation_key {
	struct ip_address address; /* of the backend or frontend; zero: about a node */
	__u32 service;		   /* id of the service port; 0: a frontend that was nobody's */
	__u32 node;		   /* index in `nodes`; 0: about an address */
	__be16 port;		   /* of the address */
	__u8 reserved[6];
};

/* Map `service_names`: hash by service id. What tools call a service port; the datapath does not read it. */
struct service_name {
	__u8 namespace_name[64]; /* padded with zeros, like the others */
	__u8 service[64];
	__u8 port[16];
};

#endif
