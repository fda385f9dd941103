import MartletNetworking

/// A name for a set of endpoints, and the addresses and ports at which a data plane makes them appear as one.
///
/// This is what was asked for; which frontends follow from it and who answers them is decided where endpoints are known
/// too. Fields that the type of service makes meaningless may hold stale values here, as they may in the API: an
/// ``Kind/externalName`` service may still have cluster IPs. ``isProxied`` tells whether any of it counts.
public struct Service: Hashable, Sendable {
  /// The name.
  public var name: NamespacedName
  /// From where it is reached.
  public var kind: Kind
  /// Whether it has been decided that the service gets no cluster IP: clients find the endpoints by DNS.
  public var isHeadless: Bool
  /// Cluster IPs, at most one a family. Empty when the service is headless or none has been allocated yet.
  public var clusterIPs: [IPAddress]
  /// Addresses that somebody routes to the nodes, answered with any kind of service.
  public var externalIPs: [IPAddress]
  /// Addresses of the load balancer in front of a ``Kind/loadBalancer`` service.
  public var loadBalancerIngress: [LoadBalancerIngress]
  /// The ports. Names are unique; so are pairs of protocol and number.
  public var ports: [Port]
  /// Whether a client stays with the endpoint it got first.
  public var sessionAffinity: SessionAffinity
  /// Which endpoints traffic to the cluster IPs may go to.
  public var internalTrafficPolicy: TrafficPolicy
  /// Which endpoints traffic to node ports, external IPs and the load balancer's addresses may go to.
  public var externalTrafficPolicy: TrafficPolicy
  /// Clients admitted at the load balancer's addresses, of either family. Empty: every client.
  public var sourceRanges: [IPPrefix]
  /// Where each node tells load balancers whether it has endpoints, with the external policy ``TrafficPolicy/local``.
  public var healthCheckNodePort: UInt16?
  /// How an endpoint is chosen for a new flow.
  public var loadBalancing: LoadBalancing
  /// How a packet reaches an endpoint of another node.
  public var forwarding: Forwarding
  /// Who serves it if not the cluster's default proxy. With any value, this data plane leaves the service alone unless
  /// it is configured to go by that name.
  public var proxyName: String?

  /// A service with these properties.
  public init(
    name: NamespacedName, kind: Kind = .clusterIP, isHeadless: Bool = false, clusterIPs: [IPAddress] = [],
    externalIPs: [IPAddress] = [], loadBalancerIngress: [LoadBalancerIngress] = [], ports: [Port] = [],
    sessionAffinity: SessionAffinity = .none, internalTrafficPolicy: TrafficPolicy = .cluster,
    externalTrafficPolicy: TrafficPolicy = .cluster, sourceRanges: [IPPrefix] = [], healthCheckNodePort: UInt16? = nil,
    loadBalancing: LoadBalancing = .random, forwarding: Forwarding = .standard, proxyName: String? = nil
  ) {
    self.name = name
    self.kind = kind
    self.isHeadless = isHeadless
    self.clusterIPs = clusterIPs
    self.externalIPs = externalIPs
    self.loadBalancerIngress = loadBalancerIngress
    self.ports = ports
    self.sessionAffinity = sessionAffinity
    self.internalTrafficPolicy = internalTrafficPolicy
    self.externalTrafficPolicy = externalTrafficPolicy
    self.sourceRanges = sourceRanges
    self.healthCheckNodePort = healthCheckNodePort
    self.loadBalancing = loadBalancing
    self.forwarding = forwarding
    self.proxyName = proxyName
  }

  /// Whether a data plane has anything to do for the service: it has an address of its own and the right proxy.
  ///
  /// - Parameter proxyName: the name this data plane goes by, `nil` for the default.
  public func isProxied(by proxyName: String? = nil) -> Bool {
    kind != .externalName && !isHeadless && !clusterIPs.isEmpty && self.proxyName == proxyName
  }

  /// The cluster IP of `family`. Without one the service has no frontend of that family at all.
  public func clusterIP(_ family: AddressFamily) -> IPAddress? {
    clusterIPs.first { $0.family == family }
  }
}

extension Service {
  /// From where a service is reached. Each includes what the one before it offers, but for ``externalName``.
  public enum Kind: String, Sendable, CaseIterable {
    /// Within the cluster, at the cluster IPs.
    case clusterIP = "ClusterIP"
    /// Also at a port of every node.
    case nodePort = "NodePort"
    /// Also at the addresses of a load balancer in front of the nodes.
    case loadBalancer = "LoadBalancer"
    /// Not at all: an alias in DNS.
    case externalName = "ExternalName"
  }

  /// A port at which a service is reached.
  public struct Port: Hashable, Sendable {
    /// The name by which endpoint slices refer to it. Empty if it is the only one and has none.
    public var name: String
    /// The protocol: TCP, UDP or SCTP.
    public var `protocol`: L4Protocol
    /// The number at the service's addresses, 1 to 65535.
    public var port: UInt16
    /// The number at the nodes' addresses, or `nil` if none is allocated.
    public var nodePort: UInt16?

    /// The port with these properties.
    public init(name: String = "", protocol: L4Protocol = .tcp, port: UInt16, nodePort: UInt16? = nil) {
      self.name = name
      self.protocol = `protocol`
      self.port = port
      self.nodePort = nodePort
    }
  }

  /// An address of the load balancer in front of a service.
  public struct LoadBalancerIngress: Hashable, Sendable {
    /// What the load balancer does to packets.
    public enum Mode: String, Sendable, CaseIterable {
      /// It delivers them to a node with their destination unchanged, so the nodes answer for the address.
      case vip = "VIP"
      /// It changes the destination to a node or endpoint, so packets to the address are left to it.
      case proxy = "Proxy"
    }

    /// The address.
    public var address: IPAddress
    /// What the load balancer does to packets.
    public var mode: Mode

    /// `address`, with packets delivered unchanged unless said otherwise.
    public init(_ address: IPAddress, mode: Mode = .vip) {
      self.address = address
      self.mode = mode
    }
  }

  /// Which endpoints traffic may go to.
  public enum TrafficPolicy: String, Sendable, CaseIterable {
    /// Those of any node.
    case cluster = "Cluster"
    /// Those of the node that first sees the packet.
    case local = "Local"
  }

  /// Whether a client stays with the endpoint it got first.
  public enum SessionAffinity: Hashable, Sendable {
    /// Each flow is on its own.
    case none
    /// A client address stays with an endpoint until it has opened no flow for `timeout` seconds, 1 to 86 400.
    case clientIP(timeout: UInt32)
  }

  /// How an endpoint is chosen for a new flow.
  public enum LoadBalancing: String, Sendable, CaseIterable {
    /// Every endpoint with the same probability, each time anew.
    case random
    /// By a hash of the flow, which every node computes alike and which few flows feel when endpoints change (Maglev,
    /// NSDI 2016).
    case maglev
  }

  /// How a packet reaches an endpoint of another node.
  public enum Forwarding: String, Sendable, CaseIterable {
    /// As the data plane's configuration says: what a service has that says nothing.
    case standard = "default"
    /// ``directReturn`` if the network around the endpoint's node carries it, as far as the node can tell; otherwise
    /// ``tunnel``.
    case automatic = "auto"
    /// Encapsulated, there and back.
    case tunnel
    /// Encapsulated there; replies go straight to the client as the service's address (direct server return).
    case directReturn = "dsr"
  }
}
