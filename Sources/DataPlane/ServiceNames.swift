import BPF
import CBPF
import Model
import Services

/// Map `service_names`: what tools call a service id.
final class ServiceNames {
  private let maps: DatapathMaps
  private var written: [ServicePortName: UInt32] = [:]

  init(_ maps: DatapathMaps) { self.maps = maps }

  /// Writes the names of the ports of `services` as far as `table` gives them ids, and removes those of ports it does
  /// not know any more.
  func update(_ services: [Service], in table: ServiceTable) throws(BPFError) {
    for service in services {
      for port in service.ports {
        let name = ServicePortName(service: service.name, port: port.name, protocol: port.protocol)
        guard let id = table.id(of: name), written[name] != id else { continue }
        try maps.serviceNames.set(id, service_name(name))
        written[name] = id
      }
    }
  }

  /// Removes the names of a service that is gone.
  func remove(_ service: NamespacedName) throws(BPFError) {
    for (name, id) in written where name.service == service {
      try maps.serviceNames.remove(id)
      written[name] = nil
    }
  }
}

extension service_name {
  init(_ name: ServicePortName) {
    self.init()
    Self.copy(name.service.namespace, into: &namespace_name)
    Self.copy(name.service.name, into: &service)
    Self.copy(name.port, into: &port)
  }

  private static func copy<Field>(_ text: String, into field: inout Field) {
    // SAFETY: the field is a fixed C array of bytes, and no more than its size less the final zero is written.
    withUnsafeMutableBytes(of: &field) { bytes in
      bytes.copyBytes(from: text.utf8.prefix(bytes.count - 1))
    }
  }

  private static func text<Field>(_ field: Field) -> String {
    // SAFETY: the field is a fixed C array of bytes, read within its size.
    withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  /// "namespace/name", and the port's name behind a colon if it has one.
  var description: String {
    let port = Self.text(port)
    return "\(Self.text(namespace_name))/\(Self.text(service))\(port.isEmpty ? "" : ":\(port)")"
  }
}
