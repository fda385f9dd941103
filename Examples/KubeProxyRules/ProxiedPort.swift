import MartletModel
import MartletNetworking

/// A port of a service as kube-proxy sees it in one address family: where clients find it, and who answers.
struct ProxiedPort {
  /// `default/web:http`, as kube-proxy's comments have it.
  let name: String
  /// Sixteen letters that tell its chains from others'.
  let hash: String
  let `protocol`: L4Protocol
  let clusterIP: IPAddress
  let port: UInt16
  /// External IPs and load balancer addresses.
  let externalIPs: [IPAddress]
  let nodePort: UInt16?
  let endpoints: [Endpoint]

  struct Endpoint {
    let hash: String
    let address: IPAddress
    let port: UInt16

    /// `10.1.0.11:8080`, `[fd01::11]:8080`.
    var text: String { address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)" }
  }

  /// Whether anybody outside the cluster may ask for it.
  var isExternal: Bool { nodePort != nil || !externalIPs.isEmpty }

  /// `tcp`, as both tools spell it.
  var protocolName: String { `protocol`.description.lowercased() }

  init?(_ port: Service.Port, of service: Service, endpoints slices: [EndpointSlice], _ family: AddressFamily) {
    guard let clusterIP = service.clusterIP(family) else { return nil }
    let name = port.name.isEmpty ? "\(service.name)" : "\(service.name):\(port.name)"
    let identity = "\(name)\(port.protocol)"
    self.name = name
    hash = Self.hash(identity)
    self.protocol = port.protocol
    self.clusterIP = clusterIP
    self.port = port.port
    nodePort = port.nodePort
    externalIPs = (service.externalIPs + service.loadBalancerIngress.map(\.address)).filter { $0.family == family }
    endpoints = slices.filter { $0.family == family }.flatMap { slice in
      slice.ports.filter { $0.name == port.name && $0.protocol == port.protocol }.flatMap { target in
        slice.endpoints.filter(\.isReady).map {
          Endpoint(hash: Self.hash("\(identity)\($0.address)\(target.port)"), address: $0.address, port: target.port)
        }
      }
    }
  }

  /// kube-proxy takes sixteen letters of a SHA-256 in base 32. All that matters is that they differ, so this is FNV-1a.
  private static func hash(_ text: String) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    var bits = UInt128(0x6c62_272e_07bb_0142) << 64 | 0x62b8_2175_6295_c58d
    for byte in text.utf8 { bits = (bits ^ UInt128(byte)) &* (UInt128(1) << 88 | 0x13b) }
    return String((0..<16).map { alphabet[Int(truncatingIfNeeded: bits >> (5 * UInt128($0))) & 31] })
  }
}
