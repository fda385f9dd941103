// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "cbpftesting.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
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

int bpftest_interface(const char *name, unsigned int *index, unsigned char address[6])
{
	struct ifreq request;
	int fd, error = 0;

	memset(&request, 0, sizeof(request));
	if (strlen(name) >= sizeof(request.ifr_name))
		return -ENODEV;
	strcpy(request.ifr_name, name);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCGIFHWADDR, &request)) {
		error = -errno;
	} else {
		memcpy(address, request.ifr_hwaddr.sa_data, 6);
		if (ioctl(fd, SIOCGIFINDEX, &request))
			error = -errno;
		else
			*index = (unsigned int)request.ifr_ifindex;
	}
	close(fd);
	return error;
}
