/// The numbers by which tables and flows refer to the other nodes of the cluster: indexes into map `nodes`.
///
/// A name keeps its number for as long as the tables live, across agents too, since flows remember it: what is stored
/// with a number is a hash of the name, and a new agent finds the number again by it.
public final class NodeNumbers {
  /// The numbers that the map has room for, the unused 0 included.
  public let capacity: UInt32
  private var numbers: [UInt64: UInt32] = [:]
  private var names: [String: UInt32] = [:]
  private var next: UInt32 = 1

  /// No numbers yet; `capacity` is that of map `nodes`.
  public init(capacity: UInt32) { self.capacity = capacity }

  /// Takes over the number that the name with this hash had with a former agent.
  public func adopt(_ number: UInt32, nameHash: UInt64) {
    numbers[nameHash] = number
    next = max(next, number + 1)
  }

  /// The number of the node called `name`, which gets one if it has none; 0 if there is no room for another node.
  public func number(of name: String) -> UInt32 {
    if let known = names[name] { return known }
    let hash = Self.hash(name)
    let number = numbers[hash] ?? fresh()
    guard number != 0 else { return 0 }
    numbers[hash] = number
    names[name] = number
    return number
  }

  private func fresh() -> UInt32 {
    guard next < capacity else { return 0 }
    defer { next += 1 }
    return next
  }

  /// FNV-1a, 64 bits: the same in every process, which Swift's own hashes are not.
  public static func hash(_ name: String) -> UInt64 {
    name.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }
}
