/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Sockets of the host. */
#ifndef MARTLET_HOST_SOCKET_H
#define MARTLET_HOST_SOCKET_H

#include "packet.h"

/*
 * Whether a socket of the host would take the reply: it is connected to the same peer or, unless that does not count,
 * listens on the port.
 */
__noinline int host_has_socket(struct __sk_buff *skb, const struct flow_tuple *reply, __u32 connected_only)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *socket;
	bool v4, counts;
	__u32 size;

	if (!reply)
		return false;
	v4 = is_v4(reply->source);
	size = v4 ? sizeof(tuple.ipv4) : sizeof(tuple.ipv6);
	if (v4) {
		tuple.ipv4.saddr = address_to_v4(reply->source);
		tuple.ipv4.daddr = address_to_v4(reply->destination);
		tuple.ipv4.sport = reply->source_port;
		tuple.ipv4.dport = reply->destination_port;
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, &reply->source, sizeof(reply->source));
		__builtin_memcpy(tuple.ipv6.daddr, &reply->destination, sizeof(reply->destination));
		tuple.ipv6.sport = reply->source_port;
		tuple.ipv6.dport = reply->destination_port;
	}
	if (reply->protocol == IPPROTO_TCP)
		socket = bpf_sk_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else if (reply->protocol == IPPROTO_UDP)
		socket = bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else
		return false;
	if (!socket)
		return false;
	counts = !connected_only || socket->dst_port;
	bpf_sk_release(socket);
	return counts;
}

#endif
