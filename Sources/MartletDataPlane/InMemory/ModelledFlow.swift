import CBPF
import MartletNetworking
import MartletServices
import Netlink

/// One direction of a flow, as `struct flow` of the datapath: all that a packet of this direction needs.
struct ModelledFlow {
  enum State: Int, Comparable {
    case new, replied, closing, closed

    static func < (left: State, right: State) -> Bool { left.rawValue < right.rawValue }
  }

  /// The packet once translated.
  var translated: FlowTuple
  var isOpener = true
  var isToHost = false
  /// Opener's half: the host itself opened it.
  var isFromHost = false
  /// It is judged, and otherwise left to the host's stack.
  var isByStack = false
  /// Opener's half: allowed before translation, so that no other policy of the host is asked.
  var isHostAdmitted = false
  /// Opener's half: it comes in through the tunnel.
  var isTunnelled = false
  /// The opener's half is under a tuple that has returned from another node, the other is not.
  var isReturned = false
  /// Opener's half: where it comes in; `nil`: the host opened it.
  var entry: InterfaceIndex?
  /// Opener's half: where it leaves; `nil`: nowhere.
  var exit: InterfaceIndex?
  var sawFIN = false
  var state = State.new
  /// The slot of the pod that receives; 0: none.
  var endpoint: UInt32 = 0
  /// Where such packets come from.
  var input: InterfaceIndex
  /// The number of the node that it goes to through the tunnel; 0: none.
  var tunnelNode: UInt32 = 0
  /// The id of the service port that chose its backend; 0: none.
  var service: UInt32 = 0
  /// Opener's half: whom policies judge it by, where another node translates it.
  var backend: Backend?
  /// Opener's half: of the services that its backend was chosen by, or found good by.
  var serviceGeneration: UInt32 = 0
  /// Of the policies that have judged it.
  var generation = 0

  /// Opener's half: the packet as policies see it once services have had their say.
  var judged: FlowTuple {
    guard let backend else { return translated }
    var judged = translated
    (judged.destination, judged.destinationPort) = (backend.address, backend.port)
    return judged
  }

  /// The key of the other half.
  var partner: FlowTuple {
    var partner = translated.reversed
    partner.isReturned = isReturned && !isOpener
    return partner
  }

  /// Whether a pod of this node has opened it, this half is its packets', and they leave as they are, as `tuple`.
  func leavesAsItIs(_ tuple: FlowTuple) -> Bool {
    isOpener && !isByStack && input != Self.network && input != Self.host && !isToHost && endpoint == 0
      && tunnelNode == 0 && translated == tuple
  }

  /// Packets of this half come from the network.
  static let network = InterfaceIndex(UInt32(0))
  /// They come from this node.
  static let host = InterfaceIndex.loopback
  /// The interface to the network as host endpoints know it, and the one that packets leave by if that is another: out of
  /// the way of those of pods.
  static let (networkInterface, exitInterface) = (InterfaceIndex(UInt32.max), InterfaceIndex(UInt32.max - 1))

  /// The reply's half of the flow that `opener` begins, as `turn_round` does it.
  func reply(to opener: FlowTuple, openerEndpoint: UInt32, input: InterfaceIndex, tunnelNode: UInt32) -> ModelledFlow {
    ModelledFlow(
      translated: opener.reversed, isOpener: false, isToHost: self.input == Self.host || isFromHost,
      isByStack: isByStack, isReturned: isReturned, endpoint: openerEndpoint, input: input, tunnelNode: tunnelNode,
      service: service, generation: generation)
  }
}

/// The flows of an ``InMemoryDataPlane``: two halves each, under the tuple that packets have before translation. They
/// never expire.
struct ModelledFlows {
  private var halves: [FlowTuple: ModelledFlow] = [:]

  subscript(tuple: FlowTuple) -> ModelledFlow? { halves[tuple] }

  mutating func enter(_ opener: FlowTuple, _ flow: ModelledFlow, reply: ModelledFlow) {
    halves[opener] = flow
    halves[flow.partner] = reply
  }

  mutating func remove(_ tuple: FlowTuple) {
    if let flow = halves.removeValue(forKey: tuple) { halves[flow.partner] = nil }
  }

  /// Records in both halves that policies of `generation` have judged them.
  mutating func stamp(_ tuple: FlowTuple, generation: Int) {
    guard let partner = halves[tuple]?.partner else { return }
    halves[tuple]?.generation = generation
    halves[partner]?.generation = generation
  }

  /// Forgets the flows of the pods that were in these slots.
  mutating func remove(ofSlots slots: Set<UInt32>) {
    for (tuple, flow) in halves where slots.contains(flow.endpoint) { remove(tuple) }
  }

  /// Records that the flow is good by the services of `generation`.
  mutating func stamp(_ tuple: FlowTuple, serviceGeneration generation: UInt32) {
    halves[tuple]?.serviceGeneration = generation
  }

  /// Whether the half under `tuple` belongs to another flow than that of `opener`; one that has ended does not count.
  mutating func isTaken(_ tuple: FlowTuple, except opener: FlowTuple) -> Bool {
    guard let flow = halves[tuple], flow.partner != opener else { return false }
    guard flow.state == .closed else { return true }
    remove(tuple)
    return false
  }

  /// A packet of the known flow under `tuple`; `false` if the flow is forgotten, as it began anew.
  mutating func advance(_ packet: PacketDescription, under tuple: FlowTuple) -> Bool {
    guard var flow = halves[tuple], var other = halves[flow.partner] else {
      remove(tuple)
      return false
    }
    let flags = packet.tcpFlags ?? []
    if flow.state >= .closing && flags.contains(.syn) && !flags.contains(.ack) {
      remove(tuple)
      return false
    }
    if flags.contains(.fin) { flow.sawFIN = true }
    flow.state = max(flow.state, Self.nextState(packet, flow, other))
    other.state = flow.state
    halves[tuple] = flow
    halves[flow.partner] = other
    return true
  }

  private static func nextState(
    _ packet: PacketDescription, _ flow: ModelledFlow, _ other: ModelledFlow
  ) -> ModelledFlow.State {
    switch packet.transport {
    case .tcp(_, _, let flags) where flags.contains(.rst): return .closed
    case .tcp(_, _, let flags) where flags.contains(.fin): return other.sawFIN ? .closed : .closing
    case .sctp(_, _, chunk: 6), .sctp(_, _, chunk: 14): return .closed
    case .sctp(_, _, chunk: 7), .sctp(_, _, chunk: 8): return .closing
    default: return flow.isOpener ? flow.state : max(flow.state, .replied)
    }
  }
}
