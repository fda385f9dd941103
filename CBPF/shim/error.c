// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "shim/error.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/capability.h>

/* include/linux/errno.h of the kernel: not part of its interface, yet bpf(2) returns it for what a build lacks. */
#define KERNEL_ENOTSUPP 524

/* libbpf's own numbers, from __LIBBPF_ERRNO__START on. */
static const char *const libbpf_names[] = {
	"LIBBPF_ERRNO__LIBELF",	  "LIBBPF_ERRNO__FORMAT",  "LIBBPF_ERRNO__KVERSION", "LIBBPF_ERRNO__ENDIAN",
	"LIBBPF_ERRNO__INTERNAL", "LIBBPF_ERRNO__RELOC",   "LIBBPF_ERRNO__LOAD",     "LIBBPF_ERRNO__VERIFY",
	"LIBBPF_ERRNO__PROG2BIG", "LIBBPF_ERRNO__KVER",	   "LIBBPF_ERRNO__PROGTYPE", "LIBBPF_ERRNO__WRNGPID",
	"LIBBPF_ERRNO__INVSEQ",	  "LIBBPF_ERRNO__NLPARSE",
};
_Static_assert(sizeof(libbpf_names) / sizeof(*libbpf_names) == __LIBBPF_ERRNO__END - __LIBBPF_ERRNO__START,
	       "a name for each");

const char *cbpf_error_name(int error)
{
	if (error >= __LIBBPF_ERRNO__START && error < __LIBBPF_ERRNO__END)
		return libbpf_names[error - __LIBBPF_ERRNO__START];
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
