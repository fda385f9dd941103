/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#ifndef MARTLET_LAYOUT_NAMES_H
#define MARTLET_LAYOUT_NAMES_H

#include <linux/types.h>

/*
 * What tools call what is in other maps. User space writes these maps and reads them; the datapath does neither, so
 * they are not part of it. Texts are padded with zeros, and cut off where they are too long.
 */

/* Map `pod_names`: hash by slot in `endpoints`: the pod that has it. */
struct pod_name {
	__u8 namespace_name[64];
	__u8 name[256];
};

/* Map `host_endpoint_names`: hash by interface index, as `host_endpoints`. */
struct host_endpoint_name {
	__u8 name[256];
};

/*
 * Map `policies`: hash. The policies that a set is made of, whether they have rules or not. Value: struct rule_name, of
 * which tier, kind, namespace and name count.
 */
struct policy_position {
	__u32 set;   /* in `policy_sets` */
	__u32 index; /* in order of evaluation, from 0 */
};

/* Map `agent`: hash, under key 0: the arguments of the agent that has set the data plane up, each ended by a zero. */
struct agent_record {
	__u8 arguments[4096];
};

#endif
