import MartletModel
import MartletNetworking

@testable import MartletServices

/// What the scenarios are made of: one node `here` in zone `a`, one service `default/web`, its slices.
extension Configuration {
  static let here = Configuration(
    nodeName: "here", serviceCIDRs: ["10.96.0.0/16", "fd96::/64"], maglevTableSize: 1021)
}

extension Node {
  static let here = Node(
    name: "here", addresses: [.init("192.0.2.1"), .init("192.0.2.2"), .init("2001:db8::1")],
    labels: [Node.zoneLabel: "a"])
}

extension Service {
  static func web(_ name: String = "web", edit: (inout Service) -> Void = { _ in }) -> Service {
    var service = Service(
      name: .init(namespace: "default", name: name), clusterIPs: ["10.96.0.10", "fd96::10"],
      ports: [.init(name: "http", port: 80)])
    edit(&service)
    return service
  }
}

extension EndpointSlice {
  static func web(
    _ endpoints: [Endpoint], name: String = "web-1", service: String = "web", family: AddressFamily = .ipv4,
    ports: [Port] = [.init(name: "http", port: 8080)]
  ) -> EndpointSlice {
    EndpointSlice(
      name: .init(namespace: "default", name: name), serviceName: service, family: family, endpoints: endpoints,
      ports: ports)
  }
}

extension EndpointSlice.Endpoint {
  static func ready(_ address: IPAddress, on node: String? = nil) -> Self { .init(address: address, node: node) }
  static func unready(_ address: IPAddress, on node: String? = nil) -> Self {
    .init(address: address, isReady: false, node: node)
  }
  static func draining(_ address: IPAddress, on node: String? = nil) -> Self {
    .init(address: address, isReady: false, isTerminating: true, node: node)
  }
}

// Literals in tests only: a typing error in one stops the test, which is what should happen.
extension IPAddress: ExpressibleByStringLiteral {
  /// The address that the literal spells.
  public init(stringLiteral text: String) { self = IPAddress(text)! }
}

extension IPPrefix: ExpressibleByStringLiteral {
  /// The prefix that the literal spells.
  public init(stringLiteral text: String) { self = IPPrefix(text)! }
}

extension [StateChange] {
  static func set(_ service: Service) -> [StateChange] { [.set(.service(service))] }
  static func set(_ slices: EndpointSlice...) -> [StateChange] { slices.map { .set(.endpointSlice($0)) } }
  static func set(_ node: Node) -> [StateChange] { [.set(.node(node))] }
  static func remove(_ service: Service) -> [StateChange] { [.removed(.service(service.name))] }
}

extension ServiceTable {
  /// Applies changes in one update.
  @discardableResult
  func update(_ changes: [StateChange]...) -> Outcome { apply(changes.flatMap(\.self)) }
}

/// Tables over memory, and questions to them.
struct Bench {
  let tables: MemoryTables
  let table: ServiceTable

  /// Empty tables of the node `here`, which knows itself.
  init(_ tables: MemoryTables = MemoryTables(), configuration: Configuration = .here, node: Node? = .here) throws {
    self.tables = tables
    table = try ServiceTable(maps: tables.maps, configuration: configuration)
    if let node { apply(.set(node)) }
  }

  /// Applies changes in one update.
  @discardableResult
  func apply(_ changes: [StateChange]...) -> ServiceTable.Outcome { table.apply(changes.flatMap(\.self)) }

  static let outside = Client(address: "198.51.100.7", isOnThisNode: false)
  static let outside6 = Client(address: "2001:db8:c::7", isOnThisNode: false)
  static let pod = Client(address: "10.0.0.9", isOnThisNode: true)

  /// Where connections to `address`:`port` go: `refused`, `dropped`, `not a service`, or the backends' addresses.
  func ask(
    _ address: IPAddress, _ port: UInt16 = 80, _ protocol: L4Protocol = .tcp, from client: Client = outside
  ) throws -> [String] {
    switch try tables.maps.answer(to: client, at: FrontendKey(address: address, port: port, protocol: `protocol`)) {
    case .notService: ["not a service"]
    case .refused: ["refused"]
    case .dropped: ["dropped"]
    case .balanced(let backends, _, _): backends.sorted { $0.endpoint < $1.endpoint }.map { "\($0.address):\($0.port)" }
    }
  }
}
