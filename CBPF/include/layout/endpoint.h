/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#ifndef MARTLET_LAYOUT_ENDPOINT_H
#define MARTLET_LAYOUT_ENDPOINT_H

#include "layout/address.h"

enum address_kind {
	ADDRESS_UNKNOWN = 0,
	ADDRESS_LOCAL_POD = 1,	/* `index` is its slot in `endpoints` */
	ADDRESS_THIS_NODE = 2,	/* an address of this node */
	ADDRESS_OTHER_NODE = 3, /* an address of another node of the cluster; `index` is its place in `nodes` */
	ADDRESS_SERVICE = 4,	/* a cluster IP: a port of it without a frontend is refused */
	ADDRESS_EXTERNAL = 5,	/* an external or load-balancer IP: a ping of it is dropped */
};

/* Map `addresses`: hash by struct ip_address. What an address is to this node. */
struct address_entry {
	__u32 kind;  /* enum address_kind */
	__u32 index; /* by kind; else 0 */
};

/* Map `endpoints`: array of the pods of this node. Slot 0 is never used, so that 0 can mean "none". */
struct endpoint {
	__u32 ifindex; /* host side of the pod's veth; 0: slot is free */
	__u32 mtu;     /* of the pod's interface, bytes from the network header on */
};

/* Map `endpoint_interfaces`: hash by index of the host side of a pod's veth. Value: __u32, the pod's slot. */

enum prefix_flag {
	PREFIX_SERVICE = 1 << 0,    /* a service range: drop what has no frontend */
	PREFIX_POD = 1 << 1,	    /* a pod range of the cluster */
	PREFIX_MASQUERADE = 1 << 2, /* pods that take the node's address when they leave the cluster */
	PREFIX_NO_DSR = 1 << 3,	    /* clients that replies must return to the way the request came */
	PREFIX_LOCAL_POD = 1 << 4,  /* a pod range of this node: nothing goes to or comes from who is no pod of ours */
};

/* Map `prefixes`: longest-prefix match by struct ip_prefix. */
struct prefix_entry {
	__u32 flags; /* enum prefix_flag */
	__u32 node;  /* of a pod range: index in `nodes` of the other node that it is on, or 0 */
};

/* Map `nodes`: array of the other nodes of the cluster. Index 0 is never used. */
struct node {
	struct ip_address address; /* where its end of the tunnel is; zero: the place is free */
	__u64 name;		   /* hash of its name, by which a new agent finds its index again */
	__u32 mtu;		   /* of the tunnel to it, bytes from the inner network header on */
	__u32 ifindex;		   /* interface that leads to it, 0: not known */
};

#endif
