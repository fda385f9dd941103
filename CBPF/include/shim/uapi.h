/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Constants of <linux/bpf.h> that are newer than the headers of distributions we build on (Debian 12: Linux 6.1). The
 * values are the kernel's interface and never change.
 */
#ifndef CBPF_SHIM_UAPI_H
#define CBPF_SHIM_UAPI_H

#include <linux/types.h>

/* enum bpf_map_type */
static const __u32 CBPF_MAP_TYPE_CGRP_STORAGE = 32; /* 6.2 */
static const __u32 CBPF_MAP_TYPE_ARENA = 33;	    /* 6.9 */

/* enum bpf_prog_type */
static const __u32 CBPF_PROG_TYPE_NETFILTER = 32; /* 6.4 */

/* enum bpf_attach_type */
static const __u32 CBPF_NETFILTER = 45;	     /* 6.4 */
static const __u32 CBPF_TCX_INGRESS = 46;    /* 6.6 */
static const __u32 CBPF_TCX_EGRESS = 47;     /* 6.6 */
static const __u32 CBPF_NETKIT_PRIMARY = 54; /* 6.7 */

/* enum bpf_link_type */
static const __u32 CBPF_LINK_TYPE_NETFILTER = 10; /* 6.4 */
static const __u32 CBPF_LINK_TYPE_TCX = 11;	  /* 6.6 */
static const __u32 CBPF_LINK_TYPE_UPROBE_MULTI = 12;
static const __u32 CBPF_LINK_TYPE_NETKIT = 13; /* 6.7 */

/* Flags of BPF_LINK_CREATE on hooks that hold an ordered list of programs. 6.6 */
static const __u32 CBPF_F_BEFORE = 1U << 3;
static const __u32 CBPF_F_AFTER = 1U << 4;
static const __u32 CBPF_F_ID = 1U << 5;
static const __u32 CBPF_F_LINK = 1U << 13;

/* Flag of bpf_l4_csum_replace(): the packet is IPv6. 6.16 */
static const __u32 CBPF_F_IPV6 = 1U << 7;

#endif
