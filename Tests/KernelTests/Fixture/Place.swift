/// Where the datapath sees a packet: a hook of an interface.
enum Place: Hashable, Sendable {
  /// A pod sends.
  case fromPod(Party)
  /// The node's stack sends to a pod.
  case toPod(Party)
  /// The network sends.
  case fromNet
  /// The node's stack sends to the network.
  case toNet

  /// The program that runs there, which is also the name of its counter.
  var program: String {
    switch self {
    case .fromPod: "from_pod"
    case .toPod: "to_pod"
    case .fromNet: "from_net"
    case .toNet: "to_net"
    }
  }

  /// Whether the node's stack, rather than a wire, is where packets come from.
  var isFromStack: Bool {
    switch self {
    case .toPod, .toNet: true
    case .fromPod, .fromNet: false
    }
  }
}
