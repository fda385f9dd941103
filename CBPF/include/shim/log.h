/* SPDX-License-Identifier: Apache-2.0 */
/* What libbpf prints, caught instead of written to stderr. */
#ifndef CBPF_SHIM_LOG_H
#define CBPF_SHIM_LOG_H

#include <stddef.h>

/* Starts to catch what libbpf prints on this thread. Until cbpf_log_end() the thread must not change. */
void cbpf_log_begin(void);

/* Stops, and returns what was caught: a string to free(), or NULL if there was nothing. */
char *cbpf_log_end(void);

/*
 * A buffer for the verifier's log that costs only the pages written. It is large because a buffer that overflows
 * turns the verifier's error into ENOSPC. NULL if there is no address space.
 */
char *cbpf_verifier_buffer_create(void);
void cbpf_verifier_buffer_destroy(char *buffer);
size_t cbpf_verifier_buffer_size(void);

#endif
