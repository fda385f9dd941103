/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Fragments. Only a datagram's first fragment has ports; the map remembers them for those that follow. Bounded: least
 * recently used datagrams are forgotten.
 */
#ifndef MARTLET_FRAGMENT_H
#define MARTLET_FRAGMENT_H

#include "maps.h"
#include "packet.h"

/* Remembers the ports of a first fragment. */
static __always_inline void remember_fragment(const struct packet *packet)
{
	struct fragment_key key = {
		.source = packet->tuple.source,
		.destination = packet->tuple.destination,
		.identification = packet->identification,
		.protocol = packet->tuple.protocol,
	};
	struct fragment_ports ports = {
		.source_port = packet->tuple.source_port,
		.destination_port = packet->tuple.destination_port,
	};

	bpf_map_update_elem(&fragments, &key, &ports, BPF_ANY);
}

/* Gives a later fragment the ports of its first; -1 if that has not been seen. */
static __always_inline int recall_fragment(struct packet *packet)
{
	struct fragment_key key = {
		.source = packet->tuple.source,
		.destination = packet->tuple.destination,
		.identification = packet->identification,
		.protocol = packet->tuple.protocol,
	};
	struct fragment_ports *ports = bpf_map_lookup_elem(&fragments, &key);

	if (!ports)
		return -1;
	packet->tuple.source_port = ports->source_port;
	packet->tuple.destination_port = ports->destination_port;
	return 0;
}

#endif
