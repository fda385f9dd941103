// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "cbpftesting.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Room for one packet-information message, aligned for its header. */
struct packet_information {
	_Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

ssize_t bpftest_receive(int fd, void *buffer, size_t size, struct sockaddr_in6 *from, struct in6_addr *to)
{
	struct packet_information control;
	struct iovec data = {.iov_base = buffer, .iov_len = size};
	struct msghdr message = {
		.msg_name = from,
		.msg_namelen = sizeof(*from),
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t count = recvmsg(fd, &message, 0);
	struct cmsghdr *header;

	if (count < 0)
		return -errno;
	memset(to, 0, sizeof(*to));
	for (header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
		struct in6_pktinfo information;

		if (header->cmsg_level != IPPROTO_IPV6 || header->cmsg_type != IPV6_PKTINFO)
			continue;
		memcpy(&information, CMSG_DATA(header), sizeof(information));
		*to = information.ipi6_addr;
	}
	return count;
}

ssize_t bpftest_send(int fd, const void *buffer, size_t size, const struct in6_addr *from,
		     const struct sockaddr_in6 *to)
{
	struct packet_information control;
	struct in6_pktinfo information = {.ipi6_addr = *from};
	struct iovec data = {.iov_base = (void *)buffer, .iov_len = size};
	struct msghdr message = {
		.msg_name = (void *)to,
		.msg_namelen = sizeof(*to),
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	ssize_t count;

	memset(&control, 0, sizeof(control));
	header->cmsg_level = IPPROTO_IPV6;
	header->cmsg_type = IPV6_PKTINFO;
	header->cmsg_len = CMSG_LEN(sizeof(information));
	memcpy(CMSG_DATA(header), &information, sizeof(information));
	count = sendmsg(fd, &message, 0);
	return count < 0 ? -errno : count;
}
