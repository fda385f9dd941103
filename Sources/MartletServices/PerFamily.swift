import MartletNetworking

/// One value for each address family.
struct PerFamily<Value> {
  var ipv4: Value
  var ipv6: Value

  init(_ make: (AddressFamily) throws -> Value) rethrows {
    ipv4 = try make(.ipv4)
    ipv6 = try make(.ipv6)
  }

  subscript(family: AddressFamily) -> Value {
    get { family == .ipv4 ? ipv4 : ipv6 }
    set { if family == .ipv4 { ipv4 = newValue } else { ipv6 = newValue } }
  }
}

extension PerFamily: Equatable where Value: Equatable {}
extension PerFamily: Sendable where Value: Sendable {}
