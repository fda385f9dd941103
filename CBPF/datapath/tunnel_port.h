/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#ifndef MARTLET_TUNNEL_PORT_H
#define MARTLET_TUNNEL_PORT_H

#include <linux/types.h>

/* The UDP port of VXLAN, as others use it (IANA). */
#define VXLAN_PORT 4789

/* UDP port that the tunnel between nodes uses; set by user space. */
const volatile __u16 tunnel_port = 14789;

#endif
