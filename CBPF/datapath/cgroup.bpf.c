// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The socket hooks: a local client of a service is given a backend when it connects or sends, and no packet of it needs
 * translation. The packet path serves whatever is left alone here, so that in doubt a socket is.
 *
 * Connected UDP sockets are: nothing tells them when their backend goes, while the packet path, which sees each
 * datagram, gives them another. 127.0.0.1 and ::1 with a node port are nobody's frontend.
 */
#include <linux/errno.h>

#include "counter.h"
#include "service.h"
#include "socket_address.h"
#include "socket_client.h"
#include "socket_peer.h"

const char datapath_license[] SEC("license") = "GPL";

/* What the hooks return. */
enum {
	SOCKET_REFUSE = 0,
	SOCKET_PROCEED = 1,
};

/*
 * The flow that the socket asks for. Its source is not known yet: any port serves to spread flows, and an address that
 * no source range has leaves ranges to the packet path.
 */
static __always_inline struct flow_tuple asked_flow(struct bpf_sock_addr *ctx, enum socket_family family)
{
	return (struct flow_tuple){
		.source = {.high = MULTICAST_HIGH},
		.destination = context_address(ctx, family),
		.source_port = bpf_get_prandom_u32(),
		.destination_port = context_port(ctx),
		.protocol = ctx->protocol,
	};
}

static __always_inline struct socket_peer asked_peer(const struct flow_tuple *asked)
{
	return (struct socket_peer){.address = asked->destination, .port = asked->destination_port};
}

/* What becomes of a client of an address and port without a frontend: as the packet path has it. */
static __always_inline int unserved(struct bpf_sock_addr *ctx, const struct flow_tuple *asked)
{
	struct address_entry destination = find_address(&asked->destination);

	return destination.kind == ADDRESS_SERVICE && is_balanced(ctx) ? SERVICE_REFUSE : SERVICE_NONE;
}

/* Whether a connected UDP socket would find nobody. */
static __always_inline int judge_datagram(struct bpf_sock_addr *ctx, const struct flow_tuple *asked)
{
	struct frontend *frontend = find_frontend(asked);
	struct socket_peer peer = asked_peer(asked);

	if (!frontend) {
		meet_directly(bpf_get_socket_cookie(ctx), &peer);
		return unserved(ctx, asked);
	}
	if (policy_slice(frontend, CLIENT_OF_NODE).count || !is_balanced(ctx))
		return SERVICE_NONE;
	return empty_result(frontend);
}

static __always_inline int choose_for_stream(struct bpf_sock_addr *ctx, const struct flow_tuple *asked,
					     struct socket_peer *given)
{
	struct frontend *frontend = find_frontend(asked);
	struct socket_peer peer = asked_peer(asked);
	struct service_choice choice = {};
	int result;

	if (!frontend)
		return unserved(ctx, asked);
	if (!is_balanced(ctx))
		return SERVICE_NONE;
	choice.client = client_key(ctx, &asked->destination);
	result = choose_of(frontend, asked, CLIENT_OF_NODE, &choice);
	if (result != SERVICE_CHOSEN)
		return result;
	*given = backend_peer(&choice, 0);
	return remember_stream(ctx, &peer, given) ? SERVICE_NONE : SERVICE_CHOSEN;
}

/* A socket's datagrams to one service go to one backend while it lasts, as those of a flow do. */
static __always_inline int choose_for_datagram(struct bpf_sock_addr *ctx, const struct flow_tuple *asked,
					       struct socket_peer *given)
{
	struct frontend *frontend = find_frontend(asked);
	__u64 socket = bpf_get_socket_cookie(ctx);
	struct socket_peer peer = asked_peer(asked);
	struct settings *current = current_settings();
	struct service_choice choice = {};
	__u32 generation;
	bool recalled;
	int result;

	if (!frontend) {
		meet_directly(socket, &peer);
		return unserved(ctx, asked);
	}
	if (!current || !is_balanced(ctx))
		return SERVICE_NONE;
	recalled = recall_datagram(socket, &peer, frontend->service, given);
	if (!recalled) {
		/* Read before the services: what they revoke meanwhile counts as later. */
		generation = *(volatile __u32 *)&current->service_generation;
		choice.client = client_key(ctx, &asked->destination);
		result = choose_of(frontend, asked, CLIENT_OF_NODE, &choice);
		if (result != SERVICE_CHOSEN)
			return result;
		*given = backend_peer(&choice, generation);
	}
	return remember_datagram(socket, &peer, given, recalled) ? SERVICE_NONE : SERVICE_CHOSEN;
}

/*
 * Carries out a result of the choice. What the packet path would drop is left to it: a socket cannot be kept waiting
 * here.
 */
static __always_inline int carry_out(struct bpf_sock_addr *ctx, enum socket_family family, int result,
				     const struct socket_peer *given)
{
	switch (result) {
	case SERVICE_CHOSEN:
		count_event(COUNTER_SOCKETS_BALANCED);
		set_context_address(ctx, family, given);
		return SOCKET_PROCEED;
	case SERVICE_REFUSE:
		count_event(COUNTER_REFUSED);
		bpf_set_retval(-ECONNREFUSED);
		return SOCKET_REFUSE;
	default:
		return SOCKET_PROCEED;
	}
}

static __always_inline int handle_connect(struct bpf_sock_addr *ctx, enum socket_family family)
{
	struct flow_tuple asked = asked_flow(ctx, family);
	struct socket_peer given = {};
	int result = SERVICE_NONE;

	if (asked.protocol == IPPROTO_TCP) {
		result = choose_for_stream(ctx, &asked, &given);
		if (result != SERVICE_CHOSEN)
			forget_stream(ctx);
	} else if (asked.protocol == IPPROTO_UDP) {
		result = judge_datagram(ctx, &asked);
	}
	return carry_out(ctx, family, result, &given);
}

/*
 * A connected socket takes datagrams from nobody but its peer. That it comes here at all is the kernel's way of sending
 * from an IPv6 socket to an IPv4 peer, and of sending to another than the peer.
 */
static __always_inline bool is_connected(const struct bpf_sock_addr *ctx)
{
	return ctx->sk->state == BPF_TCP_ESTABLISHED;
}

static __always_inline int handle_send(struct bpf_sock_addr *ctx, enum socket_family family)
{
	struct flow_tuple asked = asked_flow(ctx, family);
	struct socket_peer given = {};

	if (asked.protocol != IPPROTO_UDP || is_connected(ctx))
		return SOCKET_PROCEED;
	return carry_out(ctx, family, choose_for_datagram(ctx, &asked, &given), &given);
}

/* A datagram from a backend comes from the service that the socket sent to. */
static __always_inline int handle_receive(struct bpf_sock_addr *ctx, enum socket_family family)
{
	struct socket_peer sender = {.address = context_address(ctx, family), .port = context_port(ctx)};
	struct socket_peer_key key = datagram_key(bpf_get_socket_cookie(ctx), &sender, SOCKET_PEER_GIVEN);
	struct socket_peer *asked = bpf_map_lookup_elem(&datagram_peers, &key);

	if (asked)
		set_context_address(ctx, family, asked);
	return SOCKET_PROCEED;
}

static __always_inline int handle_peer_name(struct bpf_sock_addr *ctx, enum socket_family family)
{
	struct socket_peer peer = {.address = context_address(ctx, family), .port = context_port(ctx)};
	struct stream_peer *stored = bpf_sk_storage_get(&stream_peers, ctx->sk, NULL, 0);

	if (stored && same_peer(&stored->given, &peer))
		set_context_address(ctx, family, &stored->asked);
	return SOCKET_PROCEED;
}

SEC("cgroup/connect4") int connect4(struct bpf_sock_addr *ctx)
{
	return handle_connect(ctx, SOCKET_IPV4);
}

SEC("cgroup/connect6") int connect6(struct bpf_sock_addr *ctx)
{
	return handle_connect(ctx, SOCKET_IPV6);
}

/* A UDP socket sends to an address other than the one it may be connected to. */
SEC("cgroup/sendmsg4") int sendmsg4(struct bpf_sock_addr *ctx)
{
	return handle_send(ctx, SOCKET_IPV4);
}

SEC("cgroup/sendmsg6") int sendmsg6(struct bpf_sock_addr *ctx)
{
	return handle_send(ctx, SOCKET_IPV6);
}

SEC("cgroup/recvmsg4") int recvmsg4(struct bpf_sock_addr *ctx)
{
	return handle_receive(ctx, SOCKET_IPV4);
}

SEC("cgroup/recvmsg6") int recvmsg6(struct bpf_sock_addr *ctx)
{
	return handle_receive(ctx, SOCKET_IPV6);
}

SEC("cgroup/getpeername4") int getpeername4(struct bpf_sock_addr *ctx)
{
	return handle_peer_name(ctx, SOCKET_IPV4);
}

SEC("cgroup/getpeername6") int getpeername6(struct bpf_sock_addr *ctx)
{
	return handle_peer_name(ctx, SOCKET_IPV6);
}
