import MartletModel
import MartletNetworking

extension ValueDecoder where Value == Node {
  /// A `v1` `Node`.
  static var node: Self {
    Self { (object) throws(FieldError) in
      let metadata = try ObjectMetadata(whole: object)
      var node = Node(name: metadata.name, labels: metadata.labels, isBeingDeleted: metadata.isBeingDeleted)
      try object.inside("spec") { (spec) throws(FieldError) in
        node.podPrefixes = try spec.list("podCIDRs", of: .prefix)
        if node.podPrefixes.isEmpty, let prefix = try spec.nonempty("podCIDR", .prefix) {
          node.podPrefixes = [prefix]
        }
        node.taints = try spec.list("taints", of: .taint)
      }
      try object.inside("status") { (status) throws(FieldError) in
        node.addresses = try status.list("addresses", of: .nodeAddress).compactMap { $0 }
        let ready = try status.list("conditions", of: .condition).first { $0.type == "Ready" }
        node.isReady = ready.map { $0.status == "True" } ?? true
      }
      return node
    }
  }
}

extension ValueDecoder where Value == Node.Taint {
  fileprivate static var taint: Self {
    Self { (taint) throws(FieldError) in
      Node.Taint(
        key: try taint.required("key", .name), value: try taint.optional("value", .string) ?? "",
        effect: try taint.required("effect", .name))
    }
  }
}

extension ValueDecoder where Value == Node.Address? {
  /// `nil` for a name rather than an address.
  fileprivate static var nodeAddress: Self {
    Self { (address) throws(FieldError) in
      switch try address.required("type", .string) {
      case "InternalIP": Node.Address(try address.required("address", .address), kind: .internal)
      case "ExternalIP": Node.Address(try address.required("address", .address), kind: .external)
      default: nil
      }
    }
  }
}

extension ValueDecoder where Value == (type: String, status: String) {
  fileprivate static var condition: Self {
    Self { (condition) throws(FieldError) in
      (try condition.required("type", .string), try condition.required("status", .string))
    }
  }
}
