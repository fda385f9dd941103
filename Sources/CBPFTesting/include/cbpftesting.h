/* SPDX-License-Identifier: Apache-2.0 */
/* Module CBPFTesting: calls of the test support that Swift's Glibc module does not show. */
#ifndef CBPFTESTING_H
#define CBPFTESTING_H

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

/* A descriptor that polls readable once `pid`, a child, has ended. */
int bpftest_open_process(pid_t pid);

#endif
