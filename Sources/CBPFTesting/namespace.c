// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "cbpftesting.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
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

int bpftest_open_packet_socket(unsigned int index)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)index,
	};
	/* Bound at once: with a protocol it would first hear every interface. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int ignore_own = 1;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &ignore_own, sizeof(ignore_own)) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		int error = -errno;

		close(fd);
		return error;
	}
	return fd;
}
