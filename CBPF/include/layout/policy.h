/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#ifndef MARTLET_LAYOUT_POLICY_H
#define MARTLET_LAYOUT_POLICY_H

#include "layout/address.h"

/*
 * Policy as data. A *policy set* is the list of rules that an endpoint is judged by in one direction; endpoints with
 * the same list share it. Each rule of a set is a bit, numbered in the order of evaluation. A packet is put into one
 * *class* of each dimension, independently; the set has a bit vector for every class that says which rules the class
 * leaves possible; the first bit that all vectors and the vector of live rules have in common is the rule that decides.
 *
 * Maps of policy are never taken over: who loads the programs makes new ones and fills them before the programs run.
 */
enum policy_dimension {
	POLICY_SOURCE_IDENTITY = 0,	 /* class: `identities` of the source, 0: none */
	POLICY_DESTINATION_IDENTITY = 1, /* likewise of the destination */
	POLICY_SOURCE_PREFIX = 2,	 /* class: `policy_prefixes` of the source, 0: in none */
	POLICY_DESTINATION_PREFIX = 3,
	POLICY_PORT = 4,	 /* class: `policy_ports` by protocol and destination port, or ICMP type and code */
	POLICY_SOURCE_PORT = 5,	 /* class: `policy_ports` by protocol and source port */
	POLICY_TUPLE = 6,	 /* class: `policy_tuples` of the destination, 0: in none: named ports, services */
	POLICY_SOURCE_TUPLE = 7, /* likewise of the source */
	POLICY_DIMENSION_COUNT
};

/*
 * A bit vector in map `policy_words`: POLICY_SUMMARY_WORDS words of which bit i, counted through, says whether word i
 * of the vector is other than zero; then those words, in order. Bit 0 of a word is its lowest. What is written is never
 * changed while anybody may read it.
 */
#define POLICY_SUMMARY_WORDS 4
/* Rules of a set, with the room kept free between them. */
#define POLICY_RULES_MAX (POLICY_SUMMARY_WORDS * 64 * 64)

/* What rules do. */
enum policy_action {
	POLICY_ALLOW = 1,
	POLICY_DENY = 2,
	POLICY_PASS = 3,   /* go on with the first rule of the next tier */
	POLICY_LOG = 4,	   /* count, and go on with the next rule */
	POLICY_REJECT = 5, /* deny, and tell the sender */
};

/* A rule's word, at `rules` + its bit in map `policy_words`. */
#define POLICY_RULE_ID_SHIFT	 32	   /* upper half: id of the rule, the same in every set, never 0 */
#define POLICY_RULE_ACTION_SHIFT 24	   /* 8 bits: enum policy_action */
#define POLICY_RULE_NEXT_MASK	 0xffffffU /* POLICY_PASS: the bit to go on with; POLICY_RULES_MAX: none */

/*
 * Map `policy_headers`: array, memory-mapped by user space. One version of a policy set; never changed while anybody
 * may read it. Offsets are indexes into `policy_words`.
 *
 * A class's vector is at the offset that word `tables[dimension] + class` holds. These words, one store each, do change
 * under a header in use, in ways that matter to rules only that are not live, or when the class itself has changed.
 */
struct policy_header {
	__u32 live[2];	  /* vector of the rules that count, by family: [0] IPv4, [1] IPv6 */
	__u32 rules;	  /* the rules' words */
	__u32 dimensions; /* bits 1 << enum policy_dimension: those in which any rule is particular */
	__u32 tables[POLICY_DIMENSION_COUNT];
	__u32 classes[POLICY_DIMENSION_COUNT];	/* entries of the table; classes from there on have the fallback */
	__u32 fallback[POLICY_DIMENSION_COUNT]; /* vector of classes that no rule is particular about */
	__u32 unmatched; /* enum policy_action for what no rule matches, 0: the next stage decides */
	__u32 reserved;
};

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

/*
 * Map `policy_version`: array of one __u32, memory-mapped. Its lowest bit says which of two versions counts. Whatever a
 * change of policies makes of sets, endpoints and classes is entered as the other version first, and all of it takes
 * effect by one store here. Both versions are the same where nothing is under way.
 *
 * The lowest 24 bits count the changes: whoever has judged and finds another number has read a version that was being
 * written to, perhaps, and judges again. Above them is what else changes with the policies.
 */
#define POLICY_VERSIONS			      2
#define POLICY_VERSION_COUNT_MASK	      0xffffffU
#define POLICY_VERSION_UNTRACKED_SHIFT	      24 /* 4 bits: enum untracked_stage, those that are in use */
#define POLICY_VERSION_WORKLOAD_TO_HOST_SHIFT 28 /* 4 bits: enum workload_to_host */

/*
 * Map `policy_sets`: array, memory-mapped, by id of the set: the header in use, by version. Set 0 is none; header 0
 * denies everything.
 */
struct policy_set {
	__u32 versions[POLICY_VERSIONS];
};

/* A class by version; 0: none. */
struct policy_class {
	__u32 versions[POLICY_VERSIONS];
};

/* The sets that a pod is judged by. 0: not known yet, and all is denied. */
struct endpoint_policy {
	__u32 ingress; /* what the pod receives */
	__u32 egress;  /* what it sends */
};

/* Map `endpoint_policies`: array by the pod's slot in `endpoints`, memory-mapped. */
struct endpoint_policies {
	struct endpoint_policy versions[POLICY_VERSIONS];
};

/*
 * Map `identities`: hash by struct ip_address. Value: struct policy_class, the labels that an address stands for, as a
 * number: addresses with the same labels have the same one.
 */

/*
 * Map `policy_prefixes`: longest-prefix match by struct ip_prefix. Value: struct policy_class, the class of addresses
 * there. A prefix that is in one version alone has in the other the class of the one around it.
 */

/*
 * Map `policy_ports`: array of struct policy_class, memory-mapped: the class of a protocol and port. Index: plane << 16
 * | port in host order, or for ICMP type << 8 | code, or for other protocols the protocol's number.
 */
enum policy_plane {
	POLICY_PLANE_TCP = 0,
	POLICY_PLANE_UDP = 1,
	POLICY_PLANE_SCTP = 2,
	POLICY_PLANE_ICMP = 3,
	POLICY_PLANE_ICMPV6 = 4,
	POLICY_PLANE_OTHER = 5,
	POLICY_PLANE_SOURCE_TCP = 6, /* the same by source port; other protocols have class 0 */
	POLICY_PLANE_SOURCE_UDP = 7,
	POLICY_PLANE_SOURCE_SCTP = 8,
	POLICY_PLANE_COUNT
};

/* Map `policy_tuples`: hash. Value: struct policy_class, of the names and services that the tuple is of. */
struct policy_tuple {
	struct ip_address address;
	__be16 port;   /* network byte order */
	__u8 protocol; /* IPPROTO_* */
	__u8 reserved[5];
};

/* The policy sets that traffic through an interface is judged by; 0: none, as if there were no such stage. */
struct host_endpoint {
	__u32 ingress; /* to the host itself */
	__u32 egress;
	__u32 forward_ingress; /* through the host, coming in here */
	__u32 forward_egress;
	__u32 before_nat;	 /* ingress, before a service is looked up */
	__u32 untracked_ingress; /* before connections are tracked */
	__u32 untracked_egress;
	__u32 present; /* 0: there is no host endpoint */
};

/* Map `host_endpoints`: hash by interface index, 0: every interface that has none of its own. */
struct host_endpoints {
	struct host_endpoint versions[POLICY_VERSIONS];
};

/*
 * Map `failsafes`: longest-prefix match on the peer's address. Ports of the host that no policy closes. Value:
 * __u32, 1.
 */
struct failsafe_key {
	__u32 length;  /* bits that count: 32 for what is before the address, plus the prefix's */
	__u8 egress;   /* 0: ports of this host that others reach; 1: ports of others that this host reaches */
	__u8 protocol; /* IPPROTO_* */
	__be16 port;   /* network byte order */
	__u8 address[16];
};

/*
 * Map `allowed_sources`: longest-prefix match within one pod. Addresses that it may send from besides its own. Value:
 * __u32, 1.
 */
struct allowed_source_key {
	__u32 length;	/* bits that count: 32 for `endpoint` plus those of `address` */
	__u32 endpoint; /* the pod's slot in `endpoints`, big-endian, so that a prefix covers it first */
	__u8 address[16];
};

/* Map `blocked_prefixes`: longest-prefix match by struct ip_prefix. Outside senders dropped before all else. Value:
 * __u32, 1. */

/* Map `rule_names`: hash by id of the rule. What tools call it; the datapath does not read it. */
struct rule_name {
	__u8 tier[64]; /* padded with zeros, like the others; empty: a profile's */
	__u8 kind[32]; /* of the policy; empty: the end of the tier */
	__u8 namespace_name[64];
	__u8 name[128];
	__u32 index; /* of the rule in its direction, from 0 */
	__u8 egress; /* 1: of the egress rules */
	__u8 action; /* enum policy_action */
	__u8 reserved[2];
};

#endif
