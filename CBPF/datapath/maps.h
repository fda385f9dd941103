/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The maps of the programs that see packets. Sizes here are defaults; user space resizes them before load. */
#ifndef MARTLET_MAPS_H
#define MARTLET_MAPS_H

#include "layout/conntrack.h"
#include "layout/endpoint.h"
#include "shared_maps.h"

/*
 * Confirmed flows: both sides have been heard. Entries are allocated as needed, so that an idle node pays nothing for
 * a large limit. A full table leaves further flows unconfirmed; it evicts nothing.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 20);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct flow_tuple);
	__type(value, struct confirmed_flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 1 << 19);
	__type(value, struct flow_expiry);
} expiries SEC(".maps");

/*
 * Flows that only one side, or each side once, has spoken on. Least recently used go first: a flood of openings
 * evicts other openings and never a confirmed flow.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 16);
	__type(key, struct flow_tuple);
	__type(value, struct flow);
} unconfirmed_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 12);
	__type(key, struct fragment_key);
	__type(value, struct fragmented_datagram);
} fragments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1 << 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ip_prefix);
	__type(value, struct prefix_entry);
} prefixes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << 10);
	__type(key, __u32);
	__type(value, struct endpoint);
} endpoints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 10);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} endpoint_interfaces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << 13);
	__type(key, __u32);
	__type(value, struct node);
} nodes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 17);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct service_name);
} service_names SEC(".maps");

#endif
