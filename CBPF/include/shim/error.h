/* SPDX-License-Identifier: Apache-2.0 */
/* Error numbers and capabilities, for messages. */
#ifndef CBPF_SHIM_ERROR_H
#define CBPF_SHIM_ERROR_H

/* "EINVAL" for 22; NULL for a number without a name. Knows the kernel-internal ones that bpf(2) lets through. */
const char *cbpf_error_name(int error);

/* Whether the calling thread holds a capability (CAP_BPF, ...) effectively: 1, 0, or -errno. */
int cbpf_capability_is_effective(int capability);

#endif
