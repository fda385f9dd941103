/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What a socket asked for and what it was given instead, so that it never sees the difference. */
#ifndef MARTLET_SOCKET_PEER_H
#define MARTLET_SOCKET_PEER_H

#include "layout/socket.h"
#include "revocation.h"
#include "service.h"

/* Lives and dies with the socket. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct stream_peer);
} stream_peers SEC(".maps");

/* One socket may use any number of services, which a storage of fixed size could not hold. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 16);
	__type(key, struct socket_peer_key);
	__type(value, struct socket_peer);
} datagram_peers SEC(".maps");

static __always_inline bool same_peer(const struct socket_peer *a, const struct socket_peer *b)
{
	return a->port == b->port && address_equal(a->address, b->address);
}

/* The backend that has been chosen when the services were of this generation. */
static __always_inline struct socket_peer backend_peer(const struct service_choice *choice, __u32 service_generation)
{
	return (struct socket_peer){
		.address = choice->backend.address,
		.port = choice->backend.port,
		.service = choice->service,
		.service_generation = service_generation,
	};
}

/* -1: no memory. */
static __always_inline int remember_stream(struct bpf_sock_addr *ctx, const struct socket_peer *asked,
					   const struct socket_peer *given)
{
	struct stream_peer *stored = bpf_sk_storage_get(&stream_peers, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);

	if (!stored)
		return -1;
	stored->asked = *asked;
	stored->given = *given;
	return 0;
}

/* A socket may be disconnected and connected elsewhere, even to the backend that it was once given. */
static __always_inline void forget_stream(struct bpf_sock_addr *ctx)
{
	bpf_sk_storage_delete(&stream_peers, ctx->sk);
}

static __always_inline struct socket_peer_key datagram_key(__u64 socket, const struct socket_peer *peer,
							   enum socket_peer_side side)
{
	return (struct socket_peer_key){
		.socket = socket,
		.address = peer->address,
		.port = peer->port,
		.side = side,
	};
}

/* Whether `peer`, the service's address or its backend, is the service's no longer, since that backend was given. */
static __always_inline bool is_peer_revoked(const struct socket_peer *peer, const struct socket_peer *given)
{
	struct revocation_key key = {.address = peer->address, .service = given->service, .port = peer->port};

	return is_revoked_since(&key, given->service_generation);
}

/* The backend that the socket's datagrams to `asked` went to, if it still serves: perhaps no new clients. */
static __always_inline bool recall_datagram(__u64 socket, const struct socket_peer *asked, __u32 service,
					    struct socket_peer *given)
{
	struct socket_peer_key key = datagram_key(socket, asked, SOCKET_PEER_ASKED);
	struct socket_peer *stored = bpf_map_lookup_elem(&datagram_peers, &key);

	if (!stored)
		return false;
	*given = *stored;
	return given->service == service && !is_peer_revoked(asked, given) && !is_peer_revoked(given, given);
}

/*
 * The socket sends to an address that is no service's. If that is a backend that it was given, its replies can no
 * longer be told apart: they count as the backend's own, and the packet path serves the service.
 */
static __always_inline void meet_directly(__u64 socket, const struct socket_peer *peer)
{
	struct socket_peer_key back = datagram_key(socket, peer, SOCKET_PEER_GIVEN);
	struct socket_peer *asked = bpf_map_lookup_elem(&datagram_peers, &back);

	if (asked && !same_peer(asked, peer))
		bpf_map_update_elem(&datagram_peers, &back, peer, BPF_ANY);
}

/*
 * Remembers both directions. -1 if replies could not be told apart: the socket uses the same backend through another
 * address already.
 */
static __always_inline int remember_datagram(__u64 socket, const struct socket_peer *asked,
					     const struct socket_peer *given, bool recalled)
{
	struct socket_peer_key there = datagram_key(socket, asked, SOCKET_PEER_ASKED);
	struct socket_peer_key back = datagram_key(socket, given, SOCKET_PEER_GIVEN);
	struct socket_peer *stored = bpf_map_lookup_elem(&datagram_peers, &back);

	if (stored && !same_peer(stored, asked))
		return -1;
	/* Either entry may have been evicted alone. */
	if (!stored && bpf_map_update_elem(&datagram_peers, &back, asked, BPF_ANY))
		return -1;
	return recalled ? 0 : bpf_map_update_elem(&datagram_peers, &there, given, BPF_ANY);
}

#endif
