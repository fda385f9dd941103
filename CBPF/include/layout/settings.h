/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#ifndef MARTLET_LAYOUT_SETTINGS_H
#define MARTLET_LAYOUT_SETTINGS_H

#include "layout/address.h"

/* Map `settings`: array of one. What changes while the programs run; new flows read it, and others its generations. */
struct settings {
	struct ip_address node4;      /* this node's IPv4 address, ::ffff:0.0.0.0 if it has none */
	struct ip_address node6;      /* this node's IPv6 address, :: if it has none */
	struct ip_address node_port4; /* an IPv4 address of this node that node ports answer on; likewise */
	struct ip_address node_port6; /* likewise of IPv6 */
	__u32 route_generation;	      /* bumped at each change of routes or neighbours: cached next hops expire */
	__u32 policy_generation;      /* bumped at each change of policy or of pods: flows are judged again */
	__u32 service_generation;     /* bumped when map `revocations` has new entries: UDP flows look there */
	__u32 tunnel_ifindex;	      /* the VXLAN device, 0: there is none */
	__u32 overlay;		      /* 1: pods of other nodes are reached through the tunnel */
	__u32 workload_tunnels;	      /* 1: pods may send VXLAN and IP in IP */
};

#endif
