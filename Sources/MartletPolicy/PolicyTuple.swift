import CBPF
import MartletModel
import MartletNetworking
import TableSupport

/// An address with a protocol and a port.
struct PolicyTuple: Hashable, CustomStringConvertible {
  let address: IPAddress
  let `protocol`: L4Protocol
  let port: UInt16

  var description: String { "\(`protocol`) \(address) port \(port)" }

  /// The key of map `policy_tuples`.
  var key: policy_tuple {
    var key = policy_tuple()
    key.address = ip_address(address)
    key.port = port.bigEndian
    key.protocol = `protocol`.rawValue
    return key
  }
}
