/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CBPF_SHIM_PIN_H
#define CBPF_SHIM_PIN_H

#include <stdbool.h>

/* Whether `path` exists and lies in a bpf file system. */
bool cbpf_in_bpf_file_system(const char *path);

#endif
