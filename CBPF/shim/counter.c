// SPDX-License-Identifier: Apache-2.0
#include "shim/counter.h"

#include <stddef.h>

#define NAME(name, meaning)    #name,
#define MEANING(name, meaning) meaning,

static const char *const names[] = {MARTLET_COUNTERS(NAME)};
static const char *const meanings[] = {MARTLET_COUNTERS(MEANING)};

const char *cbpf_counter_name(__u32 counter)
{
	return counter < COUNTER_COUNT ? names[counter] : NULL;
}

const char *cbpf_counter_meaning(__u32 counter)
{
	return counter < COUNTER_COUNT ? meanings[counter] : NULL;
}
