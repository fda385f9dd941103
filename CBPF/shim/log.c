// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "shim/log.h"

#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define VERIFIER_BUFFER_SIZE ((size_t)64 << 20)

/* Per thread, so that objects loaded in parallel do not mix their logs. */
static _Thread_local bool capturing;
static _Thread_local char *text;
static _Thread_local size_t length;

static int capture(enum libbpf_print_level level, const char *format, va_list arguments)
{
	va_list measured;

	if (!capturing || level == LIBBPF_DEBUG)
		return 0;
	va_copy(measured, arguments);
	int needed = vsnprintf(NULL, 0, format, measured);
	va_end(measured);
	if (needed < 0)
		return 0;
	char *grown = realloc(text, length + (size_t)needed + 1);
	if (!grown)
		return 0;
	text = grown;
	vsnprintf(text + length, (size_t)needed + 1, format, arguments);
	length += (size_t)needed;
	return needed;
}

/* libbpf's own printer writes to stderr, which belongs to the program, not to a library. */
__attribute__((constructor)) static void silence(void)
{
	libbpf_set_print(capture);
}

void cbpf_log_begin(void)
{
	free(text);
	text = NULL;
	length = 0;
	capturing = true;
}

char *cbpf_log_end(void)
{
	char *caught = text;

	capturing = false;
	text = NULL;
	length = 0;
	return caught;
}

char *cbpf_verifier_buffer_create(void)
{
	void *buffer = mmap(NULL, VERIFIER_BUFFER_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return buffer == MAP_FAILED ? NULL : buffer;
}

void cbpf_verifier_buffer_destroy(char *buffer)
{
	munmap(buffer, VERIFIER_BUFFER_SIZE);
}

size_t cbpf_verifier_buffer_size(void)
{
	return VERIFIER_BUFFER_SIZE;
}
