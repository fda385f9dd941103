/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#ifndef MARTLET_LAYOUT_SOCKET_H
#define MARTLET_LAYOUT_SOCKET_H

#include "layout/address.h"

/*
 * Map `network_namespaces`: least-recently-used hash by a network namespace's cookie (which is never used again).
 * Value: __u32, the index of the pod's interface that the namespace's packets come from.
 *
 * Map `socket_opt_outs`: hash by that index. Value: __u32, 1: the pod's sockets are left alone.
 */

/* One end of a socket's conversation with a service. */
struct socket_peer {
	struct ip_address address;
	__u32 service;		  /* of a backend: id of the service port that it was given for */
	__u32 service_generation; /* of a backend: what the services were when it was given */
	__be16 port;		  /* network byte order */
	__u8 reserved[6];
};

/* Map `stream_peers`: storage of a TCP socket that was connected through a service. */
struct stream_peer {
	struct socket_peer asked; /* what it asked for */
	struct socket_peer given; /* the backend that it was given */
};

enum socket_peer_side {
	SOCKET_PEER_ASKED = 0, /* the key is the service's address, the value the backend */
	SOCKET_PEER_GIVEN = 1, /* the key is the backend's address, the value the service's */
};

/* Map `datagram_peers`: least-recently-used hash, two entries for each service that an unconnected UDP socket uses. */
struct socket_peer_key {
	__u64 socket; /* its cookie */
	struct ip_address address;
	__be16 port; /* network byte order */
	__u8 side;   /* enum socket_peer_side */
	__u8 reserved[5];
};

#endif
