import MartletModel
import MartletNetworking

/// Which endpoints of a service port new connections may go to, on one node and in one address family.
public struct EndpointSets: Hashable, Sendable {
  /// For frontends whose policy is Cluster: ready endpoints, narrowed to this node or zone where hints say so. If none
  /// is ready, those that serve while they terminate. Local ones first, each as often as its weight says.
  public var cluster: [Backend] = []
  /// For frontends whose policy is Local: ready endpoints on this node. If none is ready, those on this node that serve
  /// while they terminate. Sorted, each as often as its weight says.
  public var local: [Backend] = []
  /// All that are ready or serve while they terminate, wherever they are. Sorted, each once.
  public var usable: [Backend] = []

  /// No endpoints.
  public init() {}

  /// The sets of service port `port` in `family` as seen from the node `locality`.
  ///
  /// - Parameter slices: the slices of the service; others must not be among them. Endpoints that are in several count
  ///   once: local if any copy is, and otherwise as the readiest copy says, of equals the one whose slice's name comes
  ///   first.
  public init(
    of port: ServicePortName, family: AddressFamily, in slices: some Sequence<EndpointSlice>,
    seenFrom locality: Locality
  ) {
    self.init(Candidate.merged(of: port, family: family, in: slices, seenFrom: locality))
  }

  private init(_ candidates: [Candidate]) {
    let ready = candidates.filter { $0.condition == .ready }
    let draining = candidates.filter { $0.condition == .draining }
    cluster = Self.backends(ready.isEmpty ? draining : Self.narrowed(ready))
    local = Self.backends(ready.filter(\.isLocal))
    if local.isEmpty { local = Self.backends(draining.filter(\.isLocal)) }
    let all = Self.backends(ready + draining, weighted: false)
    // Nearly always the same, and then one array serves as both.
    usable = all == cluster ? cluster : all
  }

  /// Whether any endpoint of the family could serve, wherever it is. If not, clients are refused.
  public var hasEndpoints: Bool { !usable.isEmpty }

  /// The hinted part of the ready endpoints: by node, then by zone, and only where every endpoint has a hint and one
  /// names us. A preference must never be the reason that nothing is left.
  private static func narrowed(_ ready: [Candidate]) -> [Candidate] {
    for hint in [\Candidate.nodeHint, \Candidate.zoneHint] where ready.allSatisfy({ $0[keyPath: hint] != .absent }) {
      let preferred = ready.filter { $0[keyPath: hint] == .here }
      if !preferred.isEmpty { return preferred }
    }
    return ready
  }

  /// A choice at random among these, or of one of their turns to take a slot of a Maglev table, is a weighted one.
  private static func backends(_ candidates: [Candidate], weighted: Bool = true) -> [Backend] {
    let unit = candidates.reduce(0) { greatestCommonDivisor($0, $1.weight) }
    return candidates.flatMap {
      repeatElement(
        Backend(
          address: $0.endpoint.address, port: $0.endpoint.port, isLocal: $0.isLocal, node: $0.isLocal ? 0 : $0.node),
        count: weighted ? $0.weight / unit : 1)
    }.sorted()
  }

  private static func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
    b == 0 ? a : greatestCommonDivisor(b, a % b)
  }
}

/// What a node's name and zone decide: which endpoints are local and which hints are meant for us.
public struct Locality {
  /// This node's name.
  public var node: String
  /// This node's zone, if it has one.
  public var zone: String?

  /// The numbers of the other nodes.
  let numbers: NodeNumbers

  /// The node `node` in `zone`.
  public init(node: String, zone: String? = nil, numbers: NodeNumbers = NodeNumbers(capacity: 0)) {
    self.node = node
    self.zone = zone
    self.numbers = numbers
  }

  /// The number of the node called `name`, 0 for this one or if it is not known which.
  func number(of name: String?) -> UInt32 {
    guard let name, name != node else { return 0 }
    return numbers.number(of: name)
  }
}

/// An endpoint as far as the choice is concerned: no strings are left in it.
private struct Candidate {
  enum Condition: UInt8, Comparable {
    case ready
    /// Serving and terminating.
    case draining
    case unusable

    static func < (left: Condition, right: Condition) -> Bool { left.rawValue < right.rawValue }

    init(_ endpoint: EndpointSlice.Endpoint) {
      // Ready is to be trusted even if the endpoint terminates or does not serve: publishNotReadyAddresses.
      if endpoint.isReady {
        self = .ready
      } else {
        self = endpoint.isServing && endpoint.isTerminating ? .draining : .unusable
      }
    }
  }

  enum Hint: UInt8 {
    case absent
    case elsewhere
    case here

    init(_ names: Set<String>, _ own: String?) {
      if names.isEmpty {
        self = .absent
      } else {
        self = own.map(names.contains) ?? false ? .here : .elsewhere
      }
    }
  }

  let endpoint: Backend.Endpoint
  var isLocal: Bool
  let node: UInt32
  let weight: Int
  let condition: Condition
  let nodeHint: Hint
  let zoneHint: Hint

  init(_ endpoint: EndpointSlice.Endpoint, port: UInt16, weight: Int, seenFrom locality: Locality) {
    self.endpoint = Backend.Endpoint(address: endpoint.address, port: port)
    isLocal = endpoint.node == locality.node
    node = locality.number(of: endpoint.node)
    self.weight = weight
    condition = Condition(endpoint)
    nodeHint = Hint(endpoint.nodeHints, locality.node)
    zoneHint = Hint(endpoint.zoneHints, locality.zone)
  }

  /// The endpoints of a service port, each once.
  static func merged(
    of port: ServicePortName, family: AddressFamily, in slices: some Sequence<EndpointSlice>,
    seenFrom locality: Locality
  ) -> [Candidate] {
    var copies: [Candidate] = []
    for slice in slices.filter({ $0.family == family }).sorted(by: { $0.name < $1.name }) {
      for slicePort in slice.ports where slicePort.name == port.port && slicePort.protocol == port.protocol {
        for endpoint in slice.endpoints where endpoint.address.family == family {
          copies.append(
            Candidate(endpoint, port: slicePort.port, weight: max(1, slice.weight), seenFrom: locality))
        }
      }
    }
    let best = copies.enumerated().sorted {
      ($0.element.endpoint, $0.element.condition, $0.offset) < ($1.element.endpoint, $1.element.condition, $1.offset)
    }
    var merged: [Candidate] = []
    for (_, copy) in best {
      if let last = merged.indices.last, merged[last].endpoint == copy.endpoint {
        merged[last].isLocal = merged[last].isLocal || copy.isLocal
      } else {
        merged.append(copy)
      }
    }
    return merged
  }
}
