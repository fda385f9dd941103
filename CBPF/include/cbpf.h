/* SPDX-License-Identifier: Apache-2.0 */
/* Module CBPF: what Swift sees of libbpf, of the shim, and of the map layouts. */
#ifndef CBPF_H
#define CBPF_H

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "layout/address.h"
#include "layout/conntrack.h"
#include "layout/counter.h"
#include "layout/endpoint.h"
#include "layout/names.h"
#include "layout/policy.h"
#include "layout/service.h"
#include "layout/settings.h"
#include "layout/socket.h"

#include "shim/atomic.h"
#include "shim/counter.h"
#include "shim/error.h"
#include "shim/link.h"
#include "shim/log.h"
#include "shim/object.h"
#include "shim/pin.h"
#include "shim/uapi.h"

#endif
