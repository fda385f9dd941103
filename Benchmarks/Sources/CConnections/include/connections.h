/* SPDX-License-Identifier: Apache-2.0 */
/* Many short TCP connections, one after the other, by as few instructions as possible. */
#ifndef CONNECTIONS_H
#define CONNECTIONS_H

#include <netinet/in.h>

/* All functions return a negative error number on failure. */

/*
 * Pins the thread to processor `cpu` and lets it go before whatever else wants to run there: for measurements of a
 * fraction of a second. Needs CAP_SYS_NICE.
 */
int connections_run_first(int cpu);

/* Listens on `port` at every IPv4 address of the thread's network namespace: a descriptor. */
int connections_listen(in_port_t port);

/*
 * Answers one byte on each connection, and closes first, so that the client's ports are free at once. Returns when
 * `listener` is shut down.
 */
int connections_serve(int listener);

/* Ends connections_serve(). */
void connections_stop(int listener);

/*
 * Connects, sends a byte, waits for one and for the end, and closes, again and again for so many milliseconds: how
 * often. Address and port are in network byte order.
 */
long connections_make(in_addr_t address, in_port_t port, int milliseconds);

#endif
