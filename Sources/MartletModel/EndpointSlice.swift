import MartletNetworking

/// Some of the endpoints of a service, of one address family.
///
/// A service's endpoints are the union of its slices. An endpoint may be in several for a while, as when it is moved
/// from one to another.
public struct EndpointSlice: Hashable, Sendable {
  /// The name. Says nothing about the service.
  public var name: NamespacedName
  /// The name of the service, in the slice's namespace. `nil`: the slice is no service's.
  public var serviceName: String?
  /// The family of the endpoints' addresses. An address of the other family is a mistake and doesn't count.
  public var family: AddressFamily
  /// The endpoints.
  public var endpoints: [Endpoint]
  /// The ports that each endpoint serves. Empty: none.
  public var ports: [Port]
  /// Whether the service is headless, so that the slice is for DNS only.
  public var isHeadless: Bool
  /// As ``Service/proxyName``, which slices repeat.
  public var proxyName: String?
  /// How many times as many connections each endpoint gets as one of a slice with weight 1; ``weights``.
  public var weight: Int

  /// What a weight may be.
  public static let weights = 1...100

  /// A slice with these properties.
  public init(
    name: NamespacedName, serviceName: String?, family: AddressFamily, endpoints: [Endpoint] = [], ports: [Port] = [],
    isHeadless: Bool = false, proxyName: String? = nil, weight: Int = 1
  ) {
    self.name = name
    self.serviceName = serviceName
    self.family = family
    self.endpoints = endpoints
    self.ports = ports
    self.isHeadless = isHeadless
    self.proxyName = proxyName
    self.weight = weight
  }

  /// The service whose endpoints these are. `nil`: no service's.
  public var service: NamespacedName? {
    serviceName.map { NamespacedName(namespace: name.namespace, name: $0) }
  }
}

extension EndpointSlice {
  /// One that answers for a service.
  public struct Endpoint: Hashable, Sendable {
    /// The address.
    public var address: IPAddress
    /// Whether new flows may be sent there. To be trusted even where the other conditions seem to say no.
    public var isReady: Bool
    /// Whether it would answer, be it terminating or not.
    public var isServing: Bool
    /// Whether it is shutting down.
    public var isTerminating: Bool
    /// The name of the node it is on. `nil`: it is on no node, hence never local.
    public var node: String?
    /// Zones whose clients should prefer it.
    public var zoneHints: Set<String>
    /// Nodes whose clients should prefer it, before zones are looked at.
    public var nodeHints: Set<String>

    /// An endpoint with these properties: ready if nothing is said.
    public init(
      address: IPAddress, isReady: Bool = true, isServing: Bool = true, isTerminating: Bool = false,
      node: String? = nil, zoneHints: Set<String> = [], nodeHints: Set<String> = []
    ) {
      self.address = address
      self.isReady = isReady
      self.isServing = isServing
      self.isTerminating = isTerminating
      self.node = node
      self.zoneHints = zoneHints
      self.nodeHints = nodeHints
    }
  }

  /// A port that each endpoint of a slice serves.
  public struct Port: Hashable, Sendable {
    /// The name of the service's port. Empty for a service's only port.
    public var name: String
    /// The protocol, which must be that of the service's port.
    public var `protocol`: L4Protocol
    /// The number at the endpoint, 1 to 65535.
    public var port: UInt16

    /// The port with these properties.
    public init(name: String = "", protocol: L4Protocol = .tcp, port: UInt16) {
      self.name = name
      self.protocol = `protocol`
      self.port = port
    }
  }
}
