// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "shim/error.h"

#include <errno.h>
#include <string.h>
#include <sys/capability.h>

/* include/linux/errno.h of the kernel: not part of its interface, yet bpf(2) returns it for what a build lacks. */
#define KERNEL_ENOTSUPP 524

const char *cbpf_error_name(int error)
{
	return error == KERNEL_ENOTSUPP ? "ENOTSUPP" : strerrorname_np(error);
}

int cbpf_capability_is_effective(int capability)
{
	cap_flag_value_t value = CAP_CLEAR;
	cap_t held = cap_get_proc();

	if (!held)
		return -errno;
	int failed = cap_get_flag(held, (cap_value_t)capability, CAP_EFFECTIVE, &value);
	int error = errno;
	cap_free(held);
	return failed ? -error : value == CAP_SET;
}
