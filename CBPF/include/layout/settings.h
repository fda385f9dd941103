/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#ifndef MARTLET_LAYOUT_SETTINGS_H
#define MARTLET_LAYOUT_SETTINGS_H

#include "layout/address.h"

/* What becomes of what a pod sends to its own node, once the pod's policy has allowed it. */
enum workload_to_host {
	WORKLOAD_TO_HOST_ACCEPT = 0,
	WORKLOAD_TO_HOST_DROP = 1,
	WORKLOAD_TO_HOST_JUDGE = 2, /* the host's policy decides */
};

/* What is asked of every packet before connections are tracked. */
enum untracked_stage {
	UNTRACKED_BLOCKED = 1 << 0, /* map `blocked_prefixes` has entries */
	UNTRACKED_INGRESS = 1 << 1, /* some host endpoint has a set `untracked_ingress` */
	UNTRACKED_EGRESS = 1 << 2,  /* likewise `untracked_egress` */
};

/* Map `settings`: array of one. What changes while the programs run; new flows read it, and others its generations. */
struct settings {
	struct ip_address node4;  /* this node's IPv4 address, ::ffff:0.0.0.0 if it has none */
	struct ip_address node6;  /* this node's IPv6 address, :: if it has none */
	__u32 route_generation;	  /* bumped at each change of routes or neighbours: cached next hops expire */
	__u32 policy_generation;  /* bumped at each change of policy or of pods: flows are judged again */
	__u32 service_generation; /* bumped when map `revocations` has new entries: UDP flows look there */
	__u32 tunnel_ifindex;	  /* the VXLAN device, 0: there is none */
	__u32 overlay;		  /* 1: pods of other nodes are reached through the tunnel */
	__u32 workload_to_host;	  /* enum workload_to_host */
	__u32 untracked;	  /* bits of enum untracked_stage that are in use */
	__u32 workload_tunnels;	  /* 1: pods may send VXLAN and IP in IP */
};

#endif
