import CBPF
import MartletModel
import MartletNetworking
import MartletServices

/// What becomes of a packet.
public struct PacketFate: Hashable, Sendable {
  /// How it ends, as far as this node is concerned.
  public var verdict: Verdict
  /// Source and destination as it goes on: translated, or its own. `nil` if it does not go on.
  public var forwarded: FlowTuple?
  /// The service port that chose its backend, if this packet began the flow.
  public var service: ServicePortName?
  /// The backends that the service could have chosen for it; empty if no service chose.
  public var candidates: [Backend]
  /// What policies said of it, in the order in which they were asked, if they were: of a flow's first packet, and of the
  /// first after they have changed.
  public var judgements: [PolicyJudgement] = []

  init(
    _ verdict: Verdict, forwarded: FlowTuple? = nil, service: ServicePortName? = nil, candidates: [Backend] = []
  ) {
    self.verdict = verdict
    self.forwarded = forwarded
    self.service = service
    self.candidates = candidates
  }

  /// How a packet ends.
  public enum Verdict: Hashable, Sendable {
    /// This node's pod receives it.
    case pod(NamespacedName)
    /// This node itself receives it.
    case host
    /// It goes where the kernel's routes lead.
    case network
    /// It goes through the tunnel to the node of that name.
    case tunnel(String)
    /// The sender is told that nobody serves there, or that a policy rejects it: by a reset (TCP), or by an ICMP "port
    /// unreachable".
    case refused
    /// It is gone, and counted. See ``DropReason/isAnswered``.
    case dropped(DropReason)
    /// It is none of the data plane's business: the host's stack does as without it.
    case stack
  }
}

/// Why a packet was dropped: one of the datapath's counters.
public struct DropReason: Hashable, Sendable, CustomStringConvertible {
  /// The number of the counter.
  let counter: UInt32

  init(_ counter: counter) { self.counter = counter.rawValue }

  /// The counter's name, as `martlet counters` shows it: `drop_source_range`.
  public var name: String {
    // SAFETY: the name of a counter is static memory.
    String(cString: cbpf_counter_name(counter)).lowercased()
  }

  /// What it means.
  public var meaning: String {
    // SAFETY: as above.
    String(cString: cbpf_counter_meaning(counter))
  }

  /// Name and meaning.
  public var description: String { "\(name): \(meaning)" }

  /// Whether the sender is told by an ICMP error.
  public var isAnswered: Bool { self == .timeToLive }

  /// Headers that contradict themselves.
  public static let malformed = DropReason(COUNTER_DROP_MALFORMED)
  /// A source address that is not the sender's.
  public static let sourceAddress = DropReason(COUNTER_DROP_SOURCE_ADDRESS)
  /// A segment of no known connection that cannot begin one.
  public static let invalidTCPState = DropReason(COUNTER_DROP_INVALID_TCP_STATE)
  /// An ICMP message that belongs to no known flow.
  public static let invalidICMP = DropReason(COUNTER_DROP_INVALID_ICMP)
  /// The traffic policy is Local and no endpoint is on this node.
  public static let noLocalBackend = DropReason(COUNTER_DROP_NO_LOCAL_BACKEND)
  /// An unallocated service address, or a ping of a service.
  public static let serviceAddress = DropReason(COUNTER_DROP_SERVICE_ADDRESS)
  /// A client outside the service's source ranges.
  public static let sourceRange = DropReason(COUNTER_DROP_SOURCE_RANGE)
  /// No free source port made the reply unique.
  public static let portExhausted = DropReason(COUNTER_DROP_PORT_EXHAUSTED)
  /// Its time to live ran out here; the sender is told.
  public static let timeToLive = DropReason(COUNTER_DROP_TTL)
  /// There is no way to the node that it is for.
  public static let noRoute = DropReason(COUNTER_DROP_NO_ROUTE)
  /// Through the tunnel, from no node of the cluster.
  public static let tunnelSource = DropReason(COUNTER_DROP_TUNNEL_SOURCE)
  /// The sending pod's policies deny it.
  public static let policyEgress = DropReason(COUNTER_DROP_POLICY_EGRESS)
  /// The receiving pod's policies deny it.
  public static let policyIngress = DropReason(COUNTER_DROP_POLICY_INGRESS)
  /// From a pod to its own node, which takes nothing from pods.
  public static let workloadToHost = DropReason(COUNTER_DROP_WORKLOAD_TO_HOST)
  /// The policies of the host deny it.
  public static let hostPolicy = DropReason(COUNTER_DROP_HOST_POLICY)
  /// From a sender that is not heard.
  public static let blocked = DropReason(COUNTER_DROP_BLOCKED)
  /// A tunnel's packet that a pod has made.
  public static let workloadTunnel = DropReason(COUNTER_DROP_WORKLOAD_TUNNEL)
  /// For a pod that is gone.
  public static let noEndpoint = DropReason(COUNTER_DROP_NO_ENDPOINT)
}
