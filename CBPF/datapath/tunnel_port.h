/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#ifndef MARTLET_TUNNEL_PORT_H
#define MARTLET_TUNNEL_PORT_H

#include <linux/in.h>
#include <linux/types.h>

#include "address.h"

/* The UDP port of VXLAN, as others use it (IANA). */
#define VXLAN_PORT 4789

/* UDP port that the tunnel between nodes uses; set by user space. */
const volatile __u16 tunnel_port = 14789;

static __always_inline bool is_tunnel_tuple(const struct flow_tuple *tuple)
{
	return tuple->protocol == IPPROTO_UDP && tuple->destination_port == bpf_htons(tunnel_port);
}

/* Global, since few packets need this lookup. */
__noinline int is_of_this_node(const struct ip_address *address)
{
	return address && find_address(address).kind == ADDRESS_THIS_NODE;
}

/* The tunnel's outer packets where they arrive: to anybody else they are packets like others. */
static __always_inline bool is_tunnel_arrival(const struct flow_tuple *tuple)
{
	return is_tunnel_tuple(tuple) && is_of_this_node(&tuple->destination);
}

#endif
