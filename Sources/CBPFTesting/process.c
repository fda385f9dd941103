// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "cbpftesting.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int redirect(posix_spawn_file_actions_t *actions, int input, int output, int errors)
{
	int error = posix_spawn_file_actions_adddup2(actions, input, 0);

	if (!error)
		error = posix_spawn_file_actions_adddup2(actions, output, 1);
	if (!error)
		error = posix_spawn_file_actions_adddup2(actions, errors, 2);
	return error;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none;
	int error;

	sigemptyset(&none);
	error = posix_spawnattr_setsigmask(attributes, &none);
	if (!error)
		error = posix_spawnattr_setpgroup(attributes, 0);
	if (!error)
		error = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
	return error;
}

pid_t bpftest_spawn(char *const arguments[], int input, int output, int errors)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	pid_t pid;
	int error;

	error = posix_spawn_file_actions_init(&actions);
	if (error)
		return -error;
	error = posix_spawnattr_init(&attributes);
	if (error)
		goto free_actions;
	error = redirect(&actions, input, output, errors);
	if (!error)
		error = set_attributes(&attributes);
	if (!error)
		error = posix_spawnp(&pid, arguments[0], &actions, &attributes, arguments, environ);
	posix_spawnattr_destroy(&attributes);
free_actions:
	posix_spawn_file_actions_destroy(&actions);
	return error ? -error : pid;
}

int bpftest_memory_file(void)
{
	int fd = memfd_create("bpf-testing", MFD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int bpftest_open_process(pid_t pid)
{
	long fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : (int)fd;
}
