// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "cbpftesting.h"

#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

int bpftest_unshare_network(void)
{
	return unshare(CLONE_NEWNET) ? -errno : 0;
}

int bpftest_enter_network(int fd)
{
	return setns(fd, CLONE_NEWNET) ? -errno : 0;
}

pid_t bpftest_thread_id(void)
{
	return (pid_t)syscall(SYS_gettid);
}

int bpftest_open_process(pid_t pid)
{
	long fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : (int)fd;
}
