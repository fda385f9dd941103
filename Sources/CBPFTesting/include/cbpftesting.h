/* SPDX-License-Identifier: Apache-2.0 */
/* Module CBPFTesting: calls of the test support that Swift's Glibc module does not show. */
#ifndef CBPFTESTING_H
#define CBPFTESTING_H

#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/types.h>

/*
 * All functions return a negative error number on failure.
 */

/* Creates a small array map and closes it: 0 if the kernel and our capabilities allow it. */
int bpftest_probe_map(void);

/* Loads `return 0` as a traffic-control classifier and closes it: 0 if the kernel and our capabilities allow it. */
int bpftest_probe_classifier(void);

/* Moves the calling thread to a network namespace of its own. */
int bpftest_unshare_network(void);

/* Moves the calling thread to the network namespace behind `fd`. */
int bpftest_enter_network(int fd);

/* The calling thread's id, as in /proc/self/task. */
pid_t bpftest_thread_id(void);

/*
 * Starts `arguments` (searched in PATH, terminated by NULL) in a process group of its own, with these standard streams.
 * The child's signal mask is empty. Returns its id.
 */
pid_t bpftest_spawn(char *const arguments[], int input, int output, int errors);

/* A file in memory, closed on exec. */
int bpftest_memory_file(void);

/* A descriptor that polls readable once `pid`, a child, has ended. */
int bpftest_open_process(pid_t pid);

/* Whether `fd` is a file or folder of a BPF file system: 1 or 0. */
int bpftest_is_on_bpffs(int fd);

/* Index and Ethernet address of an interface in the calling thread's network namespace. */
int bpftest_interface(const char *name, unsigned int *index, unsigned char address[6]);

/* A raw packet socket on the interface `index` of the calling thread's network namespace, for frames both ways. */
int bpftest_open_packet_socket(unsigned int index);

/* Receives a datagram from an IPv6 socket with IPV6_RECVPKTINFO on, and tells whom it came from and was sent to. */
ssize_t bpftest_receive(int fd, void *buffer, size_t size, struct sockaddr_in6 *from, struct in6_addr *to);

/* Sends a datagram to `to` with `from` as its source address. */
ssize_t bpftest_send(int fd, const void *buffer, size_t size, const struct in6_addr *from,
		     const struct sockaddr_in6 *to);

#endif
