import BPF
import CBPF
import MartletNetworking
import MartletServices

/// A service's frontend as the datapath has it.
public struct FrontendReading: Hashable, Sendable, Codable {
  /// "namespace/name", with the port's name behind a colon if it has one.
  public var service: String
  /// Where it answers: "10.96.0.10:80".
  public var frontend: String
  /// TCP, UDP or SCTP.
  public var `protocol`: String
  /// Where it sends new connections.
  public var backends: [String]
  /// Those of them that are on this node; what a traffic policy of Local uses.
  public var localBackends: [String]
  /// What is special: "external", "internal-local", "external-local", "maglev", "source-ranges".
  public var properties: [String]
  /// Seconds for which a client stays with its backend; 0 without session affinity.
  public var affinitySeconds: UInt32
}

extension DatapathMaps {
  /// All frontends, by service and address.
  public func readFrontends() throws(BPFError) -> [FrontendReading] {
    let names = try readServiceNames()
    var readings: [FrontendReading] = []
    try frontends.forEach { key, value throws(BPFError) in
      let place = FrontendKey(key)
      readings.append(
        FrontendReading(
          service: names[value.service] ?? "service id \(value.service)",
          frontend: socketText(place.address, port: place.port), protocol: "\(place.protocol)",
          backends: self.readBackends(value.cluster), localBackends: self.readBackends(value.local),
          properties: Self.properties(value.flags), affinitySeconds: value.affinity_timeout))
    }
    return readings.sorted { ($0.service, $0.frontend, $0.protocol) < ($1.service, $1.frontend, $1.protocol) }
  }

  func readServiceNames() throws(BPFError) -> [UInt32: String] {
    var names: [UInt32: String] = [:]
    try serviceNames.forEach { id, name throws(BPFError) in names[id] = name.description }
    return names
  }

  private func readBackends(_ slice: backend_slice) -> [String] {
    (Int(slice.offset)..<Int(slice.offset + slice.count)).filter { $0 < backends.count }.map {
      let backend = Backend(backends.read($0))
      return socketText(backend.address, port: backend.port)
    }
  }

  private static func properties(_ flags: UInt32) -> [String] {
    let names: [(frontend_flag, String)] = [
      (FRONTEND_EXTERNAL, "external"), (FRONTEND_INTERNAL_LOCAL, "internal-local"),
      (FRONTEND_EXTERNAL_LOCAL, "external-local"), (FRONTEND_MAGLEV, "maglev"),
      (FRONTEND_SOURCE_RANGES, "source-ranges"), (FRONTEND_DSR, "dsr"),
    ]
    return names.filter { flags & $0.0.rawValue != 0 }.map(\.1)
  }
}
