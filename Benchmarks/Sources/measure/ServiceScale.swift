import BPF
import BPFTesting
import Glibc
import KubeProxyRules
import MartletDataPlane
import MartletModel
import MartletNetworking

/// What it takes to program many services, and to change one endpoint among them; beside kube-proxy's rules.
struct ServiceScale {
  static let services = 10_000
  static let endpoints = 10
  /// Fewer: with as many as above, loading and changing them in both modes did not end within two minutes.
  static let ruleServices = 1000
  private static let changes = 201
  private static let ruleChanges = 3
  private static let startTarget = 1.0
  private static let changeTarget = 1000.0
  private static let growthTarget = 1.10

  /// Measures and prints; returns whether the targets are met.
  static func measure() throws -> Bool {
    let ours = try measureMartlet()
    print("\(services) services of \(endpoints) endpoints, and a change of one endpoint; CPU time of all threads\n")
    print("| | From nothing | CPU | A change, CPU p50 | p99 |\n|---|--:|--:|--:|--:|")
    for measured in ours { row(measured.name, measured.start, measured.change) }
    for mode in RuleMode.allCases {
      do {
        let measured = try mode.measure(changes: ruleChanges)
        row("\(mode), \(ruleServices) services", measured.start, measured.change)
      } catch {
        print("| \(mode), \(ruleServices) services | \("\(error)".prefix(200)) | | | |")
      }
    }
    print("\n| | | Target |\n|---|--:|--:|")
    let (small, large) = (ours[0], ours[1])
    let ratio = large.change.p50 / small.change.p50
    let verdicts = [
      verdict("From nothing, seconds", large.start.seconds, startTarget),
      verdict("A change, CPU microseconds", large.change.p50, changeTarget),
      verdict("A change among \(services) services : among 100", ratio, growthTarget),
    ]
    return verdicts.allSatisfy { $0 }
  }

  private static func row(_ name: String, _ start: Cost, _ change: Percentiles) {
    print(
      "| \(name) | \(text(start.seconds)) s | \(text(start.processorSeconds)) s | \(Int(change.p50)) µs "
        + "| \(Int(change.p99)) µs |")
    fflush(nil)
  }

  private static func verdict(_ name: String, _ value: Double, _ target: Double) -> Bool {
    print("| \(name) | \(text(value)) | \u{2264} \(text(target))\(value <= target ? "" : ", missed") |")
    return value <= target
  }

  private static func text(_ value: Double) -> String {
    let hundredths = Int((value * 100).rounded())
    return "\(hundredths / 100).\(String(100 + hundredths % 100).dropFirst())"
  }

  // MARK: - Martlet

  private struct Row: Sendable {
    let name: String
    let start: Cost
    let change: Percentiles
  }

  /// Both sizes in turns, so that what slows down one slows down the other.
  private static func measureMartlet() throws -> [Row] {
    try NetworkNamespace().run { try rows() }
  }

  private static func rows() throws -> [Row] {
    var planes: [(plane: BPFDataPlane, cluster: ScaleCluster, start: Cost, samples: [Double])] = []
    let pins = try (0..<2).map { _ in try TemporaryBPFFilesystem() }
    for (count, pins) in zip([100, services], pins) {
      let cluster = ScaleCluster(services: count, endpoints: endpoints)
      let plane = try BPFDataPlane(
        BPFDataPlane.Options(
          configuration: Configuration(nodeName: ScaleCluster.node.name),
          pins: PinFolder(root: "\(pins.path)/martlet")))
      var problems: [DataPlaneProblem] = []
      let start = Cost.of { problems = plane.start(with: cluster.state) }
      if let problem = problems.first { throw problem }
      planes.append((plane, cluster, start, []))
    }
    for round in 0..<changes {
      for index in planes.indices {
        let change = planes[index].cluster.change(round)
        let cost = Cost.of { _ = planes[index].plane.apply([.set(change)]) }
        planes[index].samples.append(cost.processorSeconds * 1e6)
      }
      // Slices rest for a second before they are used again.
      if round.isMultiple(of: 50) { for entry in planes { _ = entry.plane.reclaim() } }
    }
    withExtendedLifetime(pins) {}
    return planes.map {
      Row(name: "Martlet, \($0.cluster.services) services", start: $0.start, change: Percentiles($0.samples))
    }
  }
}

/// How long something took.
struct Cost: Sendable {
  var seconds = 0.0
  /// Of this process's threads and the commands that it waited for.
  var processorSeconds = 0.0

  static func of(_ body: () throws -> Void) rethrows -> Cost {
    let (begin, processor) = (ContinuousClock.now, processorTime())
    try body()
    return Cost(seconds: (ContinuousClock.now - begin) / .seconds(1), processorSeconds: processorTime() - processor)
  }

  private static func processorTime() -> Double {
    var own = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own)
    var children = rusage()
    getrusage(__rusage_who_t(RUSAGE_CHILDREN.rawValue), &children)
    let times = [children.ru_utime, children.ru_stime].map { Double($0.tv_sec) + Double($0.tv_usec) / 1e6 }
    return Double(own.tv_sec) + Double(own.tv_nsec) / 1e9 + times.reduce(0, +)
  }
}

/// Many services alike, for measurements that no packet takes part in.
struct ScaleCluster {
  static let node = Node(
    name: "node-1", addresses: [Node.Address(IPAddress(192, 168, 50, 11))],
    podPrefixes: [IPPrefix(IPAddress(10, 65, 1, 0), length: 24)])

  let services: Int
  let endpoints: Int

  var state: ClusterState {
    ClusterState([.node(Self.node)] + (0..<services).flatMap { [service($0), slice($0)] })
  }

  private func name(_ index: Int) -> String { "service-\(String(100_000 + index).dropFirst())" }

  private func service(_ index: Int) -> Resource {
    .service(
      Service(
        name: NamespacedName(namespace: "default", name: name(index)),
        clusterIPs: [IPAddress(ipv4: 0x0a60_0001 + UInt32(index))], ports: [Service.Port(name: "http", port: 80)]))
  }

  private func slice(_ index: Int, replacing replaced: Int? = nil) -> Resource {
    let base = 0x0a80_0000 + UInt32(index * endpoints)
    let addresses = (0..<endpoints).map { number in
      // Somebody whom no other service has.
      IPAddress(ipv4: number == replaced ? 0x0ac0_0000 + UInt32(index) : base + UInt32(number))
    }
    return .endpointSlice(
      EndpointSlice(
        name: NamespacedName(namespace: "default", name: "\(name(index))-1"), serviceName: name(index), family: .ipv4,
        endpoints: addresses.map { EndpointSlice.Endpoint(address: $0, node: "node-2") },
        ports: [EndpointSlice.Port(name: "http", port: 8080)]))
  }

  /// The slice of one service with one of its endpoints replaced. As many services take turns in a large cluster as in a
  /// small one, so that it is the tables' size that differs and not how long ago the processor last saw their entries.
  func change(_ round: Int) -> Resource {
    slice(round % Self.turns * (services / Self.turns), replacing: round % endpoints)
  }

  private static let turns = 50
}
