/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The address in a socket hook's context. IPv6 hooks see IPv4 addresses of IPv6 sockets in the mapped form. */
#ifndef MARTLET_SOCKET_ADDRESS_H
#define MARTLET_SOCKET_ADDRESS_H

#include "layout/socket.h"
#include "packet.h"

/* The family of the hook: which of the context's fields may be touched. */
enum socket_family {
	SOCKET_IPV4 = 4,
	SOCKET_IPV6 = 6,
};

static __always_inline struct ip_address context_address(const struct bpf_sock_addr *ctx, enum socket_family family)
{
	struct ip_address address;
	__be32 words[4];

	if (family == SOCKET_IPV4)
		return address_from_v4(ctx->user_ip4);
	words[0] = ctx->user_ip6[0];
	words[1] = ctx->user_ip6[1];
	words[2] = ctx->user_ip6[2];
	words[3] = ctx->user_ip6[3];
	__builtin_memcpy(&address, words, sizeof(address));
	return address;
}

static __always_inline __be16 context_port(const struct bpf_sock_addr *ctx)
{
	return ctx->user_port;
}

static __always_inline void set_context_address(struct bpf_sock_addr *ctx, enum socket_family family,
						const struct socket_peer *peer)
{
	__be32 words[4];

	if (family == SOCKET_IPV4) {
		ctx->user_ip4 = address_to_v4(peer->address);
	} else {
		__builtin_memcpy(words, &peer->address, sizeof(words));
		ctx->user_ip6[0] = words[0];
		ctx->user_ip6[1] = words[1];
		ctx->user_ip6[2] = words[2];
		ctx->user_ip6[3] = words[3];
	}
	ctx->user_port = peer->port;
}

#endif
