import BPFTesting
import Glibc
import Testing

@Suite(.requiresBPF) struct NetworkNamespaceTests {
  @Test func bodyRunsInsideAndTheCallerStaysOutside() throws {
    let namespace = try NetworkNamespace()
    try namespace.ip("link add blue type bridge")
    #expect(try namespace.run { if_nametoindex("blue") } > 0)
    #expect(if_nametoindex("blue") == 0)
  }

  @Test func errorsOfTheBodyArriveUnchanged() throws {
    struct Broken: Error, Equatable {}
    let namespace = try NetworkNamespace()
    #expect(throws: Broken()) { try namespace.run { throw Broken() } }
  }

  @Test func childrenAreInside() throws {
    let namespace = try NetworkNamespace()
    try namespace.ip("link add blue type bridge")
    #expect(try namespace.command("ip", "-br", "link").contains("blue"))
  }

  @Test func namedOneIsFoundByOtherToolsAndGoes() throws {
    let name = "bpf-testing-\(getpid())"
    var namespace: NetworkNamespace? = try NetworkNamespace(named: name)
    #expect(try Command(["ip", "netns", "list"]).output().contains(name))
    #expect(throws: (any Error).self, "the name is taken") { try NetworkNamespace(named: name) }
    #expect(namespace?.path == "/run/netns/\(name)")
    namespace = nil
    #expect(access("/run/netns/\(name)", F_OK) != 0)
  }

  @Test func anonymousOneIsFoundByOtherToolsThroughItsPath() throws {
    let namespace = try NetworkNamespace()
    try namespace.ip("link add blue type bridge")
    #expect(try Command(["nsenter", "--net=\(namespace.path)", "ip", "-br", "link"]).output().contains("blue"))
  }

  @Test func failingLineOfIPIsQuoted() throws {
    let namespace = try NetworkNamespace()
    let failure = try #require(throws: Command.Failure.self) {
      try namespace.ip("link add blue type bridge", "link add red type nonsense")
    }
    #expect(failure.description.contains("red type nonsense"))
  }

  @Test func sysctlsAreTheNamespacesOwn() throws {
    let (one, other) = (try NetworkNamespace(), try NetworkNamespace())
    try one.setSysctl("net.ipv4.ip_default_ttl", "17")
    try other.setSysctl("net/ipv4/ip_default_ttl", "18")
    #expect(try one.command("sysctl", "-n", "net.ipv4.ip_default_ttl") == "17\n")
    #expect(try other.command("sysctl", "-n", "net.ipv4.ip_default_ttl") == "18\n")
  }

  @Test func vethConnectsTwo() throws {
    let (left, right) = (try NetworkNamespace(), try NetworkNamespace())
    let pair = try left.addVeth("to-right", peer: right, "to-left")
    try left.ip("addr add 10.0.0.1/24 dev to-right")
    try right.ip("addr add 10.0.0.2/24 dev to-left")
    try left.command("ping", "-c1", "-W2", "10.0.0.2")
    #expect(pair.near.mac != pair.far.mac)
    #expect(try right.command("ip", "link", "show", "to-left").contains("\(pair.far.mac)"))
    #expect(try right.run { if_nametoindex("to-left") } == pair.far.index)
  }

  @Test func missingInterfaceIsNamed() throws {
    let error = try #require(throws: (any Error).self) { try NetworkNamespace().interface("eth7") }
    #expect("\(error)".contains("eth7"))
  }

  @Test(arguments: 0..<20) func noThreadOfAPoolIsLeftInside(round: Int) async throws {
    let namespace = try NetworkNamespace()
    let inside = try namespace.run { try Command(["readlink", "/proc/self/ns/net"]).output() }
    let outside = try await Task.detached { try Command(["readlink", "/proc/self/ns/net"]).output() }.value
    #expect(inside != outside)
  }

  @Test func threadInsideIsFoundAsForeign() throws {
    let namespace = try NetworkNamespace()
    let own = try namespace.run { (gettid: Int32(syscall_gettid()), foreign: try NetworkNamespace.foreignThreads) }
    #expect(own.foreign.contains(own.gettid))
    #expect(try !NetworkNamespace.foreignThreads.contains(own.gettid))
  }
}

/// Glibc's own `gettid` is hidden from Swift.
private func syscall_gettid() -> Int {
  var buffer = [CChar](repeating: 0, count: 64)
  let count = readlink("/proc/thread-self", &buffer, buffer.count)
  let path = String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
  return path.split(separator: "/").last.flatMap { Int($0) } ?? 0
}
