// SPDX-License-Identifier: Apache-2.0
/* The host compiler's view of the layouts; the BPF compiler checks the same headers with -Wpadded. */
#include "cbpf.h"

_Static_assert(sizeof(struct ip_address) == 16, "ip_address");
_Static_assert(sizeof(struct ip_prefix) == 20, "ip_prefix");
_Static_assert(sizeof(struct frontend_key) == 24, "frontend_key");
_Static_assert(sizeof(struct frontend) == 40, "frontend");
_Static_assert(sizeof(struct backend) == 24, "backend");
_Static_assert(sizeof(struct source_range_key) == 24, "source_range_key");
_Static_assert(sizeof(struct affinity_key) == 24, "affinity_key");
_Static_assert(sizeof(struct affinity) == 32, "affinity");
_Static_assert(sizeof(struct revocation_key) == 32, "revocation_key");
_Static_assert(sizeof(struct address_entry) == 8, "address_entry");
_Static_assert(sizeof(struct endpoint) == 8, "endpoint");
_Static_assert(sizeof(struct node) == 32, "node");
_Static_assert(sizeof(struct prefix_entry) == 8, "prefix_entry");
_Static_assert(sizeof(struct counter_value) == 16, "counter_value");
_Static_assert(sizeof(struct settings) == 88, "settings");
_Static_assert(sizeof(struct socket_peer_key) == 32, "socket_peer_key");
_Static_assert(sizeof(struct socket_peer) == 32, "socket_peer");
_Static_assert(sizeof(struct stream_peer) == 64, "stream_peer");
_Static_assert(sizeof(struct flow_tuple) == 40, "flow_tuple");
_Static_assert(sizeof(struct flow) == 160, "flow");
_Static_assert(sizeof(struct confirmed_flow) == 160, "confirmed_flow");
_Static_assert(sizeof(struct flow_expiry) == 64, "flow_expiry");
_Static_assert(sizeof(struct endpoint_policy) == 8, "endpoint_policy");
_Static_assert(sizeof(struct policy_header) == 120, "policy_header");
_Static_assert(sizeof(struct policy_class) == 8, "policy_class");
_Static_assert(sizeof(struct policy_set) == 8, "policy_set");
_Static_assert(sizeof(struct endpoint_policies) == 16, "endpoint_policies");
_Static_assert(sizeof(struct host_endpoints) == 64, "host_endpoints");
_Static_assert(sizeof(struct policy_tuple) == 24, "policy_tuple");
_Static_assert(sizeof(struct host_endpoint) == 32, "host_endpoint");
_Static_assert(sizeof(struct failsafe_key) == 24, "failsafe_key");
_Static_assert(sizeof(struct allowed_source_key) == 24, "allowed_source_key");
_Static_assert(sizeof(struct rule_name) == 296, "rule_name");
_Static_assert(sizeof(struct pod_name) == 320, "pod_name");
_Static_assert(sizeof(struct host_endpoint_name) == 256, "host_endpoint_name");
_Static_assert(sizeof(struct policy_position) == 8, "policy_position");
_Static_assert(sizeof(struct agent_record) == 4096, "agent_record");
