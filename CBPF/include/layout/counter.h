/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#ifndef MARTLET_LAYOUT_COUNTER_H
#define MARTLET_LAYOUT_COUNTER_H

#include <linux/types.h>

/*
 * Map `counters`: per-CPU array by enum counter. Every packet counts once under the hook that saw it, and every packet
 * that is dropped once more under the reason. Append only: the numbers are pinned.
 */
enum counter {
	/* packets seen, by hook */
	COUNTER_FROM_POD = 0,
	COUNTER_TO_POD,
	COUNTER_FROM_NET,
	COUNTER_TO_NET,
	/* what became of them */
	COUNTER_FLOWS_CREATED,
	COUNTER_FLOWS_CONFIRMED,
	COUNTER_FLOWS_UNCONFIRMABLE, /* no room or memory: they go on unconfirmed */
	COUNTER_FLOWS_EXPIRED,
	COUNTER_REFUSED,
	COUNTER_ICMP_ERRORS_TRANSLATED,
	/* drops; the first is the base of enum drop_reason */
	COUNTER_DROP_TRUNCATED,
	COUNTER_DROP_MALFORMED,
	COUNTER_DROP_NOT_IP,
	COUNTER_DROP_FRAGMENT,
	COUNTER_DROP_UNKNOWN_PROTOCOL,
	COUNTER_DROP_SOURCE_ADDRESS,
	COUNTER_DROP_INVALID_TCP_STATE,
	COUNTER_DROP_INVALID_ICMP,
	COUNTER_DROP_NO_LOCAL_BACKEND,
	COUNTER_DROP_SERVICE_ADDRESS,
	COUNTER_DROP_SOURCE_RANGE,
	COUNTER_DROP_CONNTRACK_FULL,
	COUNTER_DROP_PORT_EXHAUSTED,
	COUNTER_DROP_TTL,
	COUNTER_DROP_TOO_BIG,
	COUNTER_DROP_NO_ROUTE,
	COUNTER_DROP_REWRITE_FAILED,
	COUNTER_DROP_REPLY_FAILED,
	COUNTER_DROP_NO_ENDPOINT,
	/* not drops */
	COUNTER_SOCKETS_BALANCED, /* connections and datagrams given a backend at the socket; no bytes */
	COUNTER_COUNT
};

struct counter_value {
	__u64 packets;
	__u64 bytes; /* from the network header on */
};

#endif
