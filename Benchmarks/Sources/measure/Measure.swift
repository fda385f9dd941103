import BPFTesting
import Glibc

/// Prints what Martlet costs, beside what it replaces, on this machine; `Docs/Performance.md` explains the method.
///
/// Exits with 1 if a target is missed.
@main
struct Measure {
  static func main() throws {
    print(try machine())
    let isFast = try EstablishedPacket.measure()
    print()
    fflush(nil)
    let isFaster = try ConnectionRate.measure()
    print()
    fflush(nil)
    let isFlat = try ConnectionRate.measureSizes()
    print()
    fflush(nil)
    let isScalable = try ServiceScale.measure()
    exit(isFast && isFaster && isFlat && isScalable ? 0 : 1)
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
