import BPFTesting
import MartletNetworking

/// What came of asking a service a number of times.
struct Answers: CustomStringConvertible {
  /// What came of all attempts taken together.
  enum Outcome: Hashable {
    /// Every attempt was answered, and by exactly these, each at least once.
    case answered(by: Set<String>)
    /// Every attempt was refused (`ECONNREFUSED`).
    case refused
    case reset
    /// Every attempt went unanswered.
    case dropped
    /// Some did one thing, some another, or something else altogether.
    case other([String])
  }

  private(set) var outcomes: [EchoOutcome] = []
  /// Where the answers came from, as the client saw it.
  private(set) var senders: Set<SocketAddress> = []

  mutating func append(_ outcome: EchoOutcome, from sender: SocketAddress?) {
    outcomes.append(outcome)
    if let sender { senders.insert(sender) }
  }

  var replies: [EchoReply] { outcomes.compactMap(\.reply) }
  /// Who answered.
  var servers: Set<String> { Set(replies.map(\.server)) }
  /// Whom those who answered saw asking.
  var peers: Set<IPAddress> { Set(replies.map(\.peer.address)) }
  /// Where they saw themselves asked.
  var targets: Set<SocketAddress> { Set(replies.map(\.local)) }

  /// How often `server` answered.
  func count(by server: String) -> Int { replies.count { $0.server == server } }

  var outcome: Outcome {
    let others = Set(outcomes.filter { $0.reply == nil })
    switch (others.first, others.count) {
    case (nil, _): return .answered(by: servers)
    case (.refused, 1) where replies.isEmpty: return .refused
    case (.reset, 1) where replies.isEmpty: return .reset
    case (.timedOut, 1) where replies.isEmpty: return .dropped
    default: return .other(others.map { "\($0)" }.sorted() + servers.sorted())
    }
  }

  var description: String { "\(outcome), peers \(peers), from \(senders)" }
}
