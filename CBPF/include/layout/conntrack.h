/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#ifndef MARTLET_LAYOUT_CONNTRACK_H
#define MARTLET_LAYOUT_CONNTRACK_H

#include "layout/address.h"

/* What tells two flows apart whose packets are alike. */
enum flow_zone {
	ZONE_USUAL = 0,
	ZONE_RETURNED = 1, /* this node, or a pod of it, has sent it to another, and that one back through the tunnel */
};

/*
 * One direction of a flow as it is seen on the wire where the hook is: before translation. The other direction's key
 * is the translated tuple of the entry, reversed.
 */
struct flow_tuple {
	struct ip_address source;
	struct ip_address destination;
	__be16 source_port; /* ICMP: the identifier, in both ports; 0 if such messages have none */
	__be16 destination_port;
	__u8 protocol;	  /* IPPROTO_* */
	__u8 zone;	  /* enum flow_zone */
	__u8 icmp_query;  /* ICMP: type of the request, of the answer as well; 0: an echo */
	__u8 icmp_answer; /* ICMP: 1 for answers, so that both ends may ask each other by one identifier */
};

enum flow_state {
	FLOW_NEW = 0,	      /* only the opener has spoken */
	FLOW_REPLIED = 1,     /* the other side has answered */
	FLOW_ESTABLISHED = 2, /* the opener has answered the answer: confirmed */
	FLOW_CLOSING = 3,     /* TCP: one side has sent FIN; SCTP: SHUTDOWN */
	FLOW_CLOSED = 4,      /* TCP: both have sent FIN, or one RST; SCTP: SHUTDOWN COMPLETE or ABORT */
};

/* Protocols by how they time out: rows of `flow_timeouts`. */
enum flow_protocol {
	FLOW_PROTOCOL_TCP = 0,
	FLOW_PROTOCOL_UDP = 1,
	FLOW_PROTOCOL_SCTP = 2,
	FLOW_PROTOCOL_ICMP = 3,
	FLOW_PROTOCOL_OTHER = 4,
	FLOW_PROTOCOL_COUNT
};

/* Constant `flow_timeouts`: how long a flow may be idle in each state, nanoseconds. */
struct flow_timeouts {
	__u64 state[5]; /* by enum flow_state */
};

enum flow_flag {
	FLOW_OPENER = 1 << 0,		   /* this half is the direction of the flow's first packet */
	FLOW_REWRITE_SOURCE = 1 << 1,	   /* source address or port differ from the key's */
	FLOW_REWRITE_DESTINATION = 1 << 2, /* likewise the destination */
	FLOW_TO_HOST = 1 << 3,		   /* deliver through the host's own stack */
	FLOW_ONE_WAY = 1 << 5,		   /* replies may return to the client without passing here */
	FLOW_FIN = 1 << 4,		   /* a FIN has been seen in this direction */
	FLOW_LOOPBACK = 1 << 6,		   /* opened by the host to an address of its own */
	FLOW_FROM_HOST = 1 << 7,	   /* opener's half: the host itself opened it, rather than forwarded it */
	FLOW_BY_STACK = 1 << 8,		   /* judged and tracked, and otherwise left to the host's stack as it is */
	FLOW_HOST_ADMITTED =
		1 << 9, /* opener's half: allowed before translation, no other policy of the host is asked */
	FLOW_DIRECT_RETURN = 1 << 10, /* with FLOW_ONE_WAY: as far as is known here, replies do not pass here */
	FLOW_TUNNELLED = 1 << 11,     /* opener's half: it comes in through the tunnel */
	FLOW_RETURNED = 1 << 12,      /* the opener's half is in ZONE_RETURNED, the other is not */
};

/*
 * One half of a flow: all that a packet of this direction needs. What every packet reads or writes comes first, so that
 * it shares two cache lines.
 */
struct flow {
	struct ip_address source; /* of the packet once translated */
	struct ip_address destination;
	__be16 source_port;
	__be16 destination_port;
	__u16 flags;	     /* enum flow_flag */
	__u8 state;	     /* enum flow_state; the same in both halves */
	__u8 icmp_code;	     /* ICMP: of the first packet */
	__u32 endpoint;	     /* slot in `endpoints` of the pod that receives, 0: none */
	__u32 input_ifindex; /* where such packets come from: pod's interface; 1 (lo): this node; 0: network */
	__u64 last_seen;     /* in ticks of the kernel (jiffies); the flow is idle when both halves are */
	__u64 packets;
	__u64 bytes;		 /* from the network header on */
	__u32 next_sequence;	 /* TCP: one past the highest sequence number seen in this direction, host order */
	__u32 policy_generation; /* that gave the verdict */
	__u32 output_ifindex;	 /* cached next hop: interface, 0: not cached */
	__u32 route_generation;
	__u32 output_mtu; /* of the cached next hop; bytes from the network header on */
	__u8 output_destination_mac[6];
	__u8 output_source_mac[6];
	__u32 service;		  /* id of the service port that chose the backend, 0: none */
	__u32 service_generation; /* opener's half: what the services were when the backend was chosen or found good */
	__u32 tunnel_node;   /* index in `nodes`: send through the tunnel to it, untranslated or not; 0: no tunnel */
	__u32 egress_rule;   /* id of the rule that let the flow leave its source; 0: nobody asked */
	__u32 ingress_rule;  /* likewise enter its destination */
	__u32 entry_ifindex; /* opener's half: interface that the flow comes in by, 0: the host opened it */
	__u64 created;	     /* as last_seen */
	__u32 exit_ifindex;  /* opener's half: interface that it leaves by, 0: none, or not known yet; ~0: no telling */
	__be16 backend_port; /* likewise of `backend`; 0: there is none */
	__u8 icmp_type;	     /* ICMP: of the first packet */
	__u8 policy_version; /* opener's half: lowest bits of the word in `policy_version` that it was admitted by */
	struct ip_address backend; /* opener's half: whom policies judge it by, where another node translates it */
};

/* Map `flows`: confirmed flows. Hash, entries allocated as needed. */
struct confirmed_flow {
	struct flow flow;
};

/* Map `expiries`: queue. When to look at a confirmed flow again, the next first: all wait for the same time. */
struct flow_expiry {
	struct flow_tuple opener;
	__u64 created;		 /* as in the flow; another one under the same tuple has an entry of its own */
	__u64 due;		 /* in ticks */
	__u32 policy_generation; /* in which the pods at its ends were last looked for; 0: not yet */
	__u32 reserved;
};

/*
 * Map `fragments`: least-recently-used hash. One datagram that arrives in pieces, at one place: what comes from
 * elsewhere is none of it, whatever it says.
 */
struct fragment_key {
	struct ip_address source;
	struct ip_address destination;
	__u32 identification; /* as on the wire */
	__u32 ifindex;	      /* of the interface that it passes */
	__u8 protocol;	      /* IPv4: IPPROTO_*; IPv6: 0, since only the first fragment says it */
	__u8 egress;	      /* 1: the host's stack sends it there */
	__u8 reserved[6];
};

struct fragmented_datagram {
	__u64 begun; /* when the first to come of its fragments came, in ticks */
	__be16 source_port;
	__be16 destination_port;
	__u32 seen;	/* 1: the first fragment has been, and the ports are its */
	__u32 held;	/* fragments that wait for it */
	__u32 received; /* bytes behind the IP headers that have passed, of the first fragment and after it */
	__u32 length;	/* likewise of the whole datagram; 0: the last fragment has not been */
	__u8 protocol;	/* IPPROTO_* */
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 released; /* of the held ones: those that have been let go and have not come in again */
};

#endif
