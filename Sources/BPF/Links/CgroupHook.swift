import CBPF

/// Where in a socket's life a program of a cgroup runs.
public enum CgroupHook: String, CaseIterable, Hashable, Sendable {
  /// A packet arrives for a socket (`cgroup_skb/ingress`).
  case ingress
  /// A socket sends a packet (`cgroup_skb/egress`).
  case egress
  /// A socket is created (`cgroup/sock_create`).
  case socketCreate
  /// A socket is closed (`cgroup/sock_release`). Linux 5.9.
  case socketRelease
  /// `bind` of an IPv4 socket.
  case bind4
  /// `bind` of an IPv6 socket.
  case bind6
  /// `connect` of an IPv4 socket.
  case connect4
  /// `connect` of an IPv6 socket.
  case connect6
  /// `sendmsg` with an address on an unconnected IPv4 UDP socket.
  case sendMessage4
  /// `sendmsg` with an address on an unconnected IPv6 UDP socket.
  case sendMessage6
  /// `recvmsg` on an IPv4 UDP socket.
  case receiveMessage4
  /// `recvmsg` on an IPv6 UDP socket.
  case receiveMessage6
  /// `getpeername` of an IPv4 socket. Linux 5.8.
  case getPeerName4
  /// `getpeername` of an IPv6 socket. Linux 5.8.
  case getPeerName6
  /// `getsockname` of an IPv4 socket. Linux 5.8.
  case getSocketName4
  /// `getsockname` of an IPv6 socket. Linux 5.8.
  case getSocketName6
  /// `getsockopt`.
  case getSocketOption
  /// `setsockopt`.
  case setSocketOption
  /// Events of TCP sockets (`sockops`).
  case socketOperations

  /// The kernel's `enum bpf_attach_type`.
  var attachType: bpf_attach_type {
    switch self {
    case .ingress: BPF_CGROUP_INET_INGRESS
    case .egress: BPF_CGROUP_INET_EGRESS
    case .socketCreate: BPF_CGROUP_INET_SOCK_CREATE
    case .socketRelease: BPF_CGROUP_INET_SOCK_RELEASE
    case .bind4: BPF_CGROUP_INET4_BIND
    case .bind6: BPF_CGROUP_INET6_BIND
    case .connect4: BPF_CGROUP_INET4_CONNECT
    case .connect6: BPF_CGROUP_INET6_CONNECT
    case .sendMessage4: BPF_CGROUP_UDP4_SENDMSG
    case .sendMessage6: BPF_CGROUP_UDP6_SENDMSG
    case .receiveMessage4: BPF_CGROUP_UDP4_RECVMSG
    case .receiveMessage6: BPF_CGROUP_UDP6_RECVMSG
    case .getPeerName4: BPF_CGROUP_INET4_GETPEERNAME
    case .getPeerName6: BPF_CGROUP_INET6_GETPEERNAME
    case .getSocketName4: BPF_CGROUP_INET4_GETSOCKNAME
    case .getSocketName6: BPF_CGROUP_INET6_GETSOCKNAME
    case .getSocketOption: BPF_CGROUP_GETSOCKOPT
    case .setSocketOption: BPF_CGROUP_SETSOCKOPT
    case .socketOperations: BPF_CGROUP_SOCK_OPS
    }
  }

  /// The type of the programs that it runs.
  public var programType: ProgramType {
    switch self {
    case .ingress, .egress: .cgroupSocketBuffer
    case .socketCreate, .socketRelease: .cgroupSocket
    case .getSocketOption, .setSocketOption: .cgroupSocketOption
    case .socketOperations: .socketOperations
    default: .cgroupSocketAddress
    }
  }
}
