import BPFTesting
import Glibc

/// Prints what Martlet costs, beside what it replaces, on this machine; `Docs/Performance.md` explains the method.
///
/// `measure [PART …]` measures these parts, or all. Exits with 1 if a target is missed.
@main
struct Measure {
  private static let parts: [(name: String, measure: @Sendable () throws -> Bool)] = [
    ("packet", EstablishedPacket.measure), ("connections", ConnectionRate.measure),
    ("sizes", ConnectionRate.measureSizes),
    ("services", ServiceScale.measure), ("flows", FlowExpiryScale.measure), ("policy", PolicyScale.measure),
  ]

  static func main() throws {
    let asked = CommandLine.arguments.dropFirst()
    if let unknown = asked.first(where: { name in !parts.contains { $0.name == name } }) {
      print("there is no part \(unknown): \(parts.map(\.name).joined(separator: ", "))")
      exit(2)
    }
    print(try machine())
    var isMet = true
    for part in parts where asked.isEmpty || asked.contains(part.name) {
      do {
        isMet = try part.measure() && isMet
      } catch {
        print("\nNot measured: \(error)")
        isMet = false
      }
      print()
      fflush(nil)
    }
    exit(isMet ? 0 : 1)
  }

  /// Figures mean nothing without it.
  private static func machine() throws -> String {
    let kernel = try Command(["uname", "-sr"]).output().split(separator: "\n").joined()
    let iptables = try Command(["iptables", "--version"]).output().split(separator: "\n").joined()
    let nftables = try Command(["nft", "--version"]).output().split(separator: "\n").joined()
    let processor = try Command(["sh", "-c", "sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1"]).output()
      .split(separator: "\n").joined()
    return "\(processor), \(sysconf(Int32(_SC_NPROCESSORS_ONLN))) processors, \(kernel); \(iptables); \(nftables)\n"
  }
}
