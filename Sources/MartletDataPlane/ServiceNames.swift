import BPF
import CBPF
import MartletModel
import MartletServices
import TableSupport

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
    LayoutText.write(name.service.namespace, into: &namespace_name)
    LayoutText.write(name.service.name, into: &service)
    LayoutText.write(name.port, into: &port)
  }

  /// "namespace/name", and the port's name behind a colon if it has one.
  var description: String {
    let port = LayoutText.read(port)
    return "\(LayoutText.read(namespace_name))/\(LayoutText.read(service))\(port.isEmpty ? "" : ":\(port)")"
  }
}
