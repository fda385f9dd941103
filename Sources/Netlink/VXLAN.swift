import MartletNetworking

/// The settings of a VXLAN tunnel.
public struct VXLAN: Hashable, Sendable {
  /// Where the network identifier of a packet comes from.
  public enum Identifier: Hashable, Sendable {
    /// Every packet of the link has this identifier, of 24 bits.
    case fixed(UInt32)
    /// Each packet brings its own, with its tunnel's end: from BPF (`bpf_skb_set_tunnel_key`) or a route. One such link
    /// serves the whole node ("collect metadata", `ip link … type vxlan external`).
    case external
  }

  /// Where the network identifier comes from.
  public var identifier: Identifier
  /// The UDP port, in host order. IANA's is 4789.
  public var port: UInt16
  /// The source address of what the tunnel sends; `nil` lets the route decide.
  public var local: IPAddress?
  /// The link that the tunnel is bound to; `nil` lets the route decide.
  public var lower: InterfaceIndex?
  /// Whether the link learns where addresses are from what it receives.
  public var isLearning: Bool

  /// A tunnel with the given settings.
  public init(
    _ identifier: Identifier, port: UInt16 = 4789, local: IPAddress? = nil, lower: InterfaceIndex? = nil,
    isLearning: Bool = false
  ) {
    self.identifier = identifier
    self.port = port
    self.local = local
    self.lower = lower
    self.isLearning = isLearning
  }
}

/// `IFLA_VXLAN_…` (`linux/if_link.h`).
private enum VXLANAttribute {
  static let identifier: UInt16 = 1
  static let link: UInt16 = 3
  static let local: UInt16 = 4
  static let learning: UInt16 = 7
  static let port: UInt16 = 15  // network byte order
  static let local6: UInt16 = 17
  static let collectMetadata: UInt16 = 25
}

extension VXLAN {
  /// Settings as the kernel reports them.
  init(_ attributes: Attributes) {
    self.init(.fixed(0))
    for attribute in attributes {
      switch attribute.type {
      case VXLANAttribute.identifier:
        if identifier != .external { identifier = .fixed(attribute.uint32 ?? 0) }
      case VXLANAttribute.collectMetadata:
        if attribute.uint8 == 1 { identifier = .external }
      case VXLANAttribute.link: lower = InterfaceIndex(wire: attribute.uint32)
      case VXLANAttribute.local, VXLANAttribute.local6: local = IPAddress(bytes: attribute.value)
      case VXLANAttribute.learning: isLearning = attribute.uint8 == 1
      case VXLANAttribute.port: port = attribute.value.load(UInt16.self).map(UInt16.init(bigEndian:)) ?? port
      default: break
      }
    }
  }

  /// Adds the settings to a request.
  func encode(into request: inout MessageBuilder) {
    switch identifier {
    case .fixed(let number): request.attribute(VXLANAttribute.identifier, number)
    case .external: request.attribute(VXLANAttribute.collectMetadata, UInt8(1))
    }
    request.attribute(VXLANAttribute.port, port.bigEndian)
    request.attribute(VXLANAttribute.learning, UInt8(isLearning ? 1 : 0))
    if let local {
      request.attribute(local.isIPv4 ? VXLANAttribute.local : VXLANAttribute.local6, bytes: local.bytes)
    }
    if let lower { request.attribute(VXLANAttribute.link, lower.rawValue) }
  }
}
