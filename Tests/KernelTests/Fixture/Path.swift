import BPFTesting
import MartletNetworking
import Testing

/// A way that packets take, there and back.
struct Path: Sendable, CustomTestStringConvertible {
  /// One end, as somebody knows it.
  struct End: Sendable {
    var party: Party
    var port: UInt16

    func socket(_ family: AddressFamily) -> EndAddress { EndAddress(party.address(family), port) }
  }

  /// One direction.
  struct Leg: Sendable {
    /// The first hook that sees it, which decides.
    var first: Place
    var verdict: Outcome.Verdict
    /// The hooks that see it later, and let it through.
    var later: [Place] = []

    /// Whether it is forwarded, rather than delivered to the node or sent by it.
    var losesHop: Bool { !first.isFromStack && verdict == .redirect }
  }

  var name: String
  /// Who opens, and whom it asks for.
  var opener: End
  var asked: End
  /// Who answers, and whom it sees.
  var server: End
  var seen: End
  var there: Leg
  var back: Leg

  var testDescription: String { name }
  /// Whether a service is asked for.
  var isService: Bool { asked.party != server.party || asked.port != server.port }

  /// Sets the services up that the path is about.
  func prepare(_ fixture: DatapathFixture, _ number: L4Protocol, _ family: AddressFamily) throws {
    guard isService else { return }
    try fixture.serve(at: asked.party, asked.port, number, family, by: [(server.party, server.port)])
  }
}

extension Path {
  private static let serverPort: UInt16 = 8080
  private static let openerPort: UInt16 = 40_000

  private init(
    _ name: String, _ opener: Party, asks asked: (Party, UInt16), server: Party, seen: Party? = nil, there: Leg,
    back: Leg
  ) {
    self.init(
      name: name, opener: End(party: opener, port: Self.openerPort), asked: End(party: asked.0, port: asked.1),
      server: End(party: server, port: Self.serverPort), seen: End(party: seen ?? opener, port: Self.openerPort),
      there: there, back: back)
  }

  /// Paths to a service, by any of its addresses.
  static let services = [
    Path(
      "pod to cluster IP to pod", .pod1, asks: (.service, 80), server: .pod2,
      there: Leg(first: .fromPod(.pod1), verdict: .redirect), back: Leg(first: .fromPod(.pod2), verdict: .redirect)),
    Path(
      "pod to cluster IP to pod elsewhere", .pod1, asks: (.service, 80), server: .otherPod,
      there: Leg(first: .fromPod(.pod1), verdict: .redirect, later: [.toNet]),
      back: Leg(first: .fromNet, verdict: .redirect)),
    Path(
      "pod to cluster IP to itself", .pod1, asks: (.service, 80), server: .pod1, seen: .node,
      there: Leg(first: .fromPod(.pod1), verdict: .redirect), back: Leg(first: .fromPod(.pod1), verdict: .redirect)),
    Path(
      "client to node port to pod", .client, asks: (.node, 30_080), server: .pod1,
      there: Leg(first: .fromNet, verdict: .redirect),
      back: Leg(first: .fromPod(.pod1), verdict: .redirect, later: [.toNet])),
    Path(
      "remote to external IP to pod", .remote, asks: (.externalIP, 80), server: .pod1,
      there: Leg(first: .fromNet, verdict: .redirect),
      back: Leg(first: .fromPod(.pod1), verdict: .redirect, later: [.toNet])),
    Path(
      "host to cluster IP to pod", .node, asks: (.service, 80), server: .pod2,
      there: Leg(first: .toNet, verdict: .redirect, later: [.toPod(.pod2)]),
      back: Leg(first: .fromPod(.pod2), verdict: .pass)),
  ]

  /// Paths to whom was asked for.
  static let direct = [
    Path(
      "pod to pod", .pod1, asks: (.pod2, serverPort), server: .pod2,
      there: Leg(first: .fromPod(.pod1), verdict: .redirect), back: Leg(first: .fromPod(.pod2), verdict: .redirect)),
    Path(
      "pod to remote", .pod1, asks: (.remote, serverPort), server: .remote,
      there: Leg(first: .fromPod(.pod1), verdict: .redirect, later: [.toNet]),
      back: Leg(first: .fromNet, verdict: .redirect)),
    Path(
      "client to pod", .client, asks: (.pod1, serverPort), server: .pod1,
      there: Leg(first: .fromNet, verdict: .redirect),
      back: Leg(first: .fromPod(.pod1), verdict: .redirect, later: [.toNet])),
    Path(
      "pod to host", .pod1, asks: (.node, serverPort), server: .node,
      there: Leg(first: .fromPod(.pod1), verdict: .pass), back: Leg(first: .toPod(.pod1), verdict: .pass)),
    Path(
      "host to pod", .node, asks: (.pod1, serverPort), server: .pod1,
      there: Leg(first: .toPod(.pod1), verdict: .pass), back: Leg(first: .fromPod(.pod1), verdict: .pass)),
  ]
}
