/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CBPF_SHIM_COUNTER_H
#define CBPF_SHIM_COUNTER_H

#include "../layout/counter.h"

/* The counter's name in lower case, and what it counts; NULL if there is no such counter. Static memory. */
const char *cbpf_counter_name(__u32 counter);
const char *cbpf_counter_meaning(__u32 counter);

#endif
