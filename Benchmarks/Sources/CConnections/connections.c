/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "connections.h"

#include <errno.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int connections_run_first(int cpu)
{
	struct sched_param priority = {.sched_priority = 1};
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) || sched_setscheduler(0, SCHED_FIFO, &priority))
		return -errno;
	return 0;
}

static long milliseconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int connections_listen(in_port_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = port};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int yes = 1;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1024)) {
		int error = -errno;

		close(fd);
		return error;
	}
	return fd;
}

int connections_serve(int listener)
{
	char byte;
	int fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		if (recv(fd, &byte, 1, 0) == 1)
			send(fd, &byte, 1, MSG_NOSIGNAL);
		close(fd);
	}
	return 0;
}

void connections_stop(int listener)
{
	shutdown(listener, SHUT_RDWR);
}

/* One connection, or a negative error number; a second without an answer is a failure. */
static int make_one(const struct sockaddr_in *server)
{
	struct timeval limit = {.tv_sec = 1};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int error = 0;
	char byte = 'x';

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)server, sizeof(*server)) || send(fd, &byte, 1, MSG_NOSIGNAL) != 1 ||
	    recv(fd, &byte, 1, 0) != 1 || recv(fd, &byte, 1, 0) != 0)
		error = errno ? -errno : -EPROTO;
	close(fd);
	return error;
}

long connections_make(in_addr_t address, in_port_t port, int milliseconds)
{
	struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = address};
	long end = milliseconds_now() + milliseconds;
	long count = 0;

	while (milliseconds_now() < end) {
		int error = make_one(&server);

		if (error)
			return error;
		count++;
	}
	return count;
}
