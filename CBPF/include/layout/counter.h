/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#ifndef MARTLET_LAYOUT_COUNTER_H
#define MARTLET_LAYOUT_COUNTER_H

#include <linux/types.h>

/*
 * Map `counters`: per-CPU array by enum counter. A packet counts once under the hook that saw it, and once more under
 * the reason if it is dropped. Name and meaning are what tools show. Append only: the numbers are pinned.
 */
#define MARTLET_COUNTERS(COUNTER)                                                                                      \
	COUNTER(FROM_POD, "packets that pods sent")                                                                    \
	COUNTER(TO_POD, "packets that the host's stack sent to pods")                                                  \
	COUNTER(FROM_NET, "packets that came from the network")                                                        \
	COUNTER(TO_NET, "packets that the host's stack sent to the network")                                           \
	COUNTER(FROM_TUNNEL, "packets that other nodes sent through the tunnel")                                       \
	COUNTER(FLOWS_CREATED, "flows begun, by their first packet")                                                   \
	COUNTER(FLOWS_CONFIRMED, "flows whose opener answered the answer")                                             \
	COUNTER(FLOWS_UNCONFIRMABLE, "flows that found no room among the confirmed ones and go on without")            \
	COUNTER(FLOWS_EXPIRED, "confirmed flows that ended or were idle for too long")                                 \
	COUNTER(REFUSED, "packets answered with a reset or port unreachable: nobody serves, or a rule rejects")        \
	COUNTER(ICMP_ERRORS_TRANSLATED, "ICMP errors about translated flows")                                          \
	COUNTER(FRAGMENTS_HELD, "fragments kept until their first one comes")                                          \
	COUNTER(DROP_TRUNCATED, "shorter than its headers say")                                                        \
	COUNTER(DROP_MALFORMED, "headers that contradict themselves")                                                  \
	COUNTER(DROP_NOT_IP, "from a pod, and neither IP nor ARP")                                                     \
	COUNTER(DROP_FRAGMENT, "a fragment that cannot wait for its first")                                            \
	COUNTER(DROP_SOURCE_ADDRESS, "a source address that is not the sender's")                                      \
	COUNTER(DROP_INVALID_TCP_STATE, "a segment of no known connection that cannot begin one")                      \
	COUNTER(DROP_INVALID_ICMP, "an ICMP message that belongs to no known flow")                                    \
	COUNTER(DROP_NO_LOCAL_BACKEND, "the traffic policy is Local and no endpoint is on this node")                  \
	COUNTER(DROP_SERVICE_ADDRESS, "an unallocated service address, or a ping of a service")                        \
	COUNTER(DROP_SOURCE_RANGE, "a client outside the service's source ranges")                                     \
	COUNTER(DROP_CONNTRACK_FULL, "no memory to track the flow")                                                    \
	COUNTER(DROP_PORT_EXHAUSTED, "no free source port made the reply unique")                                      \
	COUNTER(DROP_TTL, "its time to live ran out here; the sender is told")                                         \
	COUNTER(DROP_TOO_BIG, "does not fit the next hop; the sender is told")                                         \
	COUNTER(DROP_NO_ROUTE, "the kernel's routes discard it")                                                       \
	COUNTER(DROP_REWRITE_FAILED, "could not be translated")                                                        \
	COUNTER(DROP_REPLY_FAILED, "could not be turned into an answer")                                               \
	COUNTER(DROP_SERVICE_CHANGED, "the service changed each time that it was read")                                \
	COUNTER(DROP_TUNNEL_SOURCE, "through the tunnel, from no node of the cluster")                                 \
	COUNTER(DROP_NO_ENDPOINT, "for a pod that is gone")                                                            \
	COUNTER(SOCKETS_BALANCED, "connections and datagrams given a backend at the socket")                           \
	COUNTER(POLICY_LOGGED, "matches of rules whose action is Log")                                                 \
	COUNTER(DROP_POLICY_EGRESS, "the sending pod's policy denies it")                                              \
	COUNTER(DROP_POLICY_INGRESS, "the receiving pod's policy denies it")                                           \
	COUNTER(DROP_WORKLOAD_TO_HOST, "from a pod to its own node, which takes nothing from pods")                    \
	COUNTER(DROP_HOST_POLICY, "the policy of the host denies it")                                                  \
	COUNTER(DROP_BLOCKED, "from a blocked sender")                                                                 \
	COUNTER(DROP_WORKLOAD_TUNNEL, "a tunnel's packet that a pod has made")                                         \
	COUNTER(DROP_REFUSED_FRAGMENT, "a later fragment of what was refused: only its first is answered")

#define MARTLET_COUNTER_NUMBER(name, meaning) COUNTER_##name,
enum counter { MARTLET_COUNTERS(MARTLET_COUNTER_NUMBER) COUNTER_COUNT };
#undef MARTLET_COUNTER_NUMBER

struct counter_value {
	__u64 packets;
	__u64 bytes; /* from the network header on */
};

#endif
