import BPF
import BPFTesting
import CBPF
import Dispatch
import Glibc
import MartletDataPlane
import MartletNetworking

/// What it takes to keep half a million connections, a million entries, clean while none of them ends; and whether packets
/// notice.
struct FlowExpiryScale {
  static let flows = 1 << 19
  private static let seconds = 8
  private static let shareTarget = 0.02
  /// How often a confirmed flow is looked at, in seconds: `expiry_period` in `CBPF/datapath/flow.h`.
  private static let period = 32.0

  /// Measures and prints; returns whether the target is met.
  static func measure() throws -> Bool {
    print("\(2 * flows) entries of connections that go on; those that are due are looked at once a second\n")
    print("| | | Target |\n|---|--:|--:|")
    let cluster = try BenchmarkCluster(.martlet(services: 10))
    return try EstablishedPacket.withConnection(.ipv4, in: cluster) { source, service in
      try cluster.topology.nodes[0].host.namespace.run {
        let (dataPlane, pins) = try cluster.takeOver()
        let before = try EstablishedPacket.sample(cluster.client, from: source, to: service, rounds: 5).ours
        try fill(dataPlane.maps, pins)
        let isMet = try reportShare(dataPlane)
        let during = try sampleWhileLooking(dataPlane) {
          try EstablishedPacket.sample(cluster.client, from: source, to: service, rounds: 5).ours
        }
        print("| A packet with few entries: p50, p99 | \(text(before)) | |")
        print("| A packet while entries are looked at: p50, p99 | \(text(during)) | |")
        return isMet
      }
    }
  }

  private static func text(_ costs: Percentiles) -> String { "\(Int(costs.p50)) ns, \(Int(costs.p99)) ns" }

  private static func percent(_ share: Double) -> String { "\(Double(Int((share * 1_000).rounded())) / 10) %" }

  private static func reportShare(_ dataPlane: BPFDataPlane) throws -> Bool {
    // What has become due while the table was filled.
    _ = dataPlane.reclaim()
    var costs: [Cost] = []
    for _ in 0..<seconds {
      sleep(1)
      costs.append(Cost.of { _ = dataPlane.reclaim() })
    }
    let share = costs.map(\.processorSeconds).reduce(0, +) / Double(seconds)
    let isMet = share <= shareTarget
    print("| Of one processor | \(percent(share)) | \u{2264} \(percent(shareTarget))\(isMet ? "" : ", missed") |")
    print("| The longest second's look | \(Int((costs.map(\.seconds).max() ?? 0) * 1e3)) ms | |")
    return isMet
  }

  /// Looks without a pause from another thread.
  private static func sampleWhileLooking(
    _ dataPlane: BPFDataPlane, _ sample: () throws -> Percentiles
  ) throws -> Percentiles {
    let (asked, ended) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    // SAFETY: this thread leaves it alone until the other has ended.
    nonisolated(unsafe) let dataPlane = dataPlane
    DispatchQueue.global().async {
      while asked.wait(timeout: .now()) == .timedOut { _ = dataPlane.reclaim() }
      ended.signal()
    }
    defer {
      asked.signal()
      ended.wait()
    }
    return try sample()
  }

  /// Enters connections whose turns to be looked at are spread over the period.
  private static func fill(_ maps: DatapathMaps, _ pins: PinFolder) throws {
    let tick = try KernelTick.shared()
    let now = ticks(tick)
    let expiries = try QueueMap<flow_expiry>(pinned: "\(pins.root)/maps/expiries")
    // They go on, so the policies of now have judged them.
    let generation = try maps.settings.get(0)?.policy_generation ?? 0
    // The measured connection's turn would come first, and later than those that now follow it.
    while try expiries.pop() != nil {}
    for index in 0..<(flows - 64) {  // room for the connection that is measured
      var (key, value) = (flow_tuple(), confirmed_flow())
      key.source = address(0x0a00_0000 + UInt32(index))
      key.destination = address(0x0b00_0000)
      (key.source_port, key.destination_port, key.protocol) = (1, 2, 6)
      value.flow.source = key.source
      value.flow.destination = key.destination
      (value.flow.source_port, value.flow.destination_port) = (1, 2)
      value.flow.state = UInt8(FLOW_ESTABLISHED.rawValue)
      (value.flow.last_seen, value.flow.created) = (now, now)
      value.flow.policy_generation = generation
      try maps.flows.set(key, value)
      let turn = Double(index) / Double(flows) * period * 1e9 / Double(tick.nanoseconds)
      let expiry = flow_expiry(
        opener: key, created: now, due: now + UInt64(turn), policy_generation: 0, reserved: 0)
      (key.source, key.destination) = (key.destination, key.source)
      (key.source_port, key.destination_port) = (2, 1)
      (value.flow.source, value.flow.destination) = (key.source, key.destination)
      (value.flow.source_port, value.flow.destination_port) = (2, 1)
      try maps.flows.set(key, value)
      try expiries.push(expiry)
    }
  }

  private static func address(_ address: UInt32) -> ip_address {
    ip_address(high: 0, low: UInt64(address.bigEndian) << 32 | UInt64(0xffff_0000))
  }

  /// The kernel's tick counter, which begins five minutes before its lower half overflows (include/linux/jiffies.h), less a
  /// second to be on the safe side.
  private static func ticks(_ tick: KernelTick) -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    let perSecond = 1_000_000_000 / tick.nanoseconds
    let initial = UInt64(UInt32.max) + 1 - 300 * perSecond
    return initial + (UInt64(time.tv_sec) - 1) * perSecond
  }
}
