import BPF
import BPFTesting
import CConnections
import Glibc
import MartletNetworking

/// Connections a second from pod to pod: connect, a byte each way, close.
struct ConnectionRate {
  static let rounds = 15
  static let milliseconds: Int32 = 400
  /// Client and server share it: what counts is the work a connection takes, not how fast processors wake each other.
  static let processor: Int32 = 1

  /// What is compared with what, and what the ratio of their rates should be at least.
  private typealias Comparison = (Forwarder, Forwarder, target: Double?)

  private static let comparisons: [Comparison] = [
    (.martlet(services: 5000), .iptables(services: 5000), 1.8),
    (.martlet(services: 5000), .nftables(services: 5000), nil),
    (.martlet(services: 10), .iptables(services: 10), nil),
    (.martlet(services: 10), .nftables(services: 10), nil),
    (.martlet(services: 5000), .martlet(services: 10), 0.95),
    (.martlet(services: 5000), .kernel, 1.0),
  ]

  private static let forwarders: [Forwarder] = [
    .kernel, .martlet(services: 10), .martlet(services: 5000), .nftables(services: 10), .nftables(services: 5000),
    .iptables(services: 10), .iptables(services: 5000),
  ]

  /// Whether the number of services matters.
  private static let sizes = [10, 1000, 10_000, 30_000].map { Forwarder.martlet(services: $0) }

  /// Measures and prints; returns whether every target is met.
  static func measure() throws -> Bool { try measure(forwarders, comparisons) }

  /// Likewise, Martlet alone with more and more services.
  static func measureSizes() throws -> Bool {
    try measure(sizes, sizes.dropFirst().map { ($0, sizes[0], target: 0.95) })
  }

  private static func measure(_ forwarders: [Forwarder], _ comparisons: [Comparison]) throws -> Bool {
    let servers = try forwarders.map { try ConnectionServer(BenchmarkCluster($0)) }
    var rates: [Forwarder: [Double]] = [:]
    for server in servers { _ = try server.rate(milliseconds: 100) }
    for round in 0..<rounds {
      // There and back, so that neighbours in time take turns in going first.
      for server in round.isMultiple(of: 2) ? servers : servers.reversed() {
        rates[server.cluster.forwarder, default: []].append(try server.rate(milliseconds: milliseconds))
      }
    }
    return report(rates, of: forwarders, comparisons)
  }

  private static func report(
    _ rates: [Forwarder: [Double]], of forwarders: [Forwarder], _ comparisons: [Comparison]
  ) -> Bool {
    print("Connections a second, pod to pod; \(rounds) rounds of \(milliseconds) ms, in turns\n")
    print("| Forwarded by | p50 | lowest | highest |\n|---|--:|--:|--:|")
    for forwarder in forwarders {
      guard let samples = rates[forwarder].map({ Percentiles($0) }) else { continue }
      print("| \(forwarder) | \(Int(samples.p50)) | \(Int(samples(0))) | \(Int(samples(100))) |")
    }
    print("\n| Ratio, median of \(rounds) pairs | | Target |\n|---|--:|--:|")
    var isGood = true
    for (ours, theirs, target) in comparisons {
      guard let first = rates[ours], let second = rates[theirs] else { continue }
      let ratio = Percentiles.medianRatio(zip(first, second))
      let isMet = target.map { ratio >= $0 } ?? true
      isGood = isGood && isMet
      let goal = target.map { "\u{2265} \(Self.text($0))\(isMet ? "" : ", missed")" } ?? ""
      print("| \(ours) : \(theirs) | \(text(ratio)) | \(goal) |")
    }
    return isGood
  }

  private static func text(_ ratio: Double) -> String {
    let hundredths = Int((ratio * 100).rounded())
    return "\(hundredths / 100).\(String(100 + hundredths % 100).dropFirst())"
  }
}

/// The server in the second pod of a cluster, on a thread of its own.
final class ConnectionServer {
  let cluster: BenchmarkCluster
  private let listener: Int32
  private var thread = pthread_t()

  init(_ cluster: BenchmarkCluster) throws {
    self.cluster = cluster
    listener = try cluster.server.host.namespace.run {
      try Self.check(Int(connections_listen(BenchmarkCluster.podPort.bigEndian)), "listen in the server's pod")
    }
    let status = pthread_create(
      &thread, nil,
      { argument in
        // Without the right to go first it still serves; the client will complain.
        _ = connections_run_first(ConnectionRate.processor)
        _ = connections_serve(Int32(Int(bitPattern: argument)))
        return nil
      }, UnsafeMutableRawPointer(bitPattern: Int(listener)))
    guard status == 0 else { throw BPFError(errno: status, operation: "create", object: "thread of the server") }
  }

  deinit {
    connections_stop(listener)
    pthread_join(thread, nil)
    close(listener)
  }

  /// Connections a second.
  func rate(milliseconds: Int32) throws -> Double {
    let (address, port) = cluster.target
    guard let number = address.ipv4 else { preconditionFailure("\(address) is not IPv4") }
    let cluster = cluster
    let count = try cluster.client.host.namespace.run {
      _ = try Self.check(Int(connections_run_first(ConnectionRate.processor)), "give priority to the client of")
      return try Self.check(
        connections_make(number.bigEndian, port.bigEndian, milliseconds), "connect through \(cluster.forwarder)")
    }
    return Double(count) * 1000 / Double(milliseconds)
  }

  private static func check(_ result: Int, _ operation: String) throws -> Int32 {
    guard result >= 0 else { throw BPFError(errno: Int32(-result), operation: operation, object: "TCP") }
    return Int32(result)
  }
}
