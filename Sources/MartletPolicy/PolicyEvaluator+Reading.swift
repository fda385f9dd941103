import BPF
import CBPF

extension PolicyEvaluator {
  /// What the tables say to a packet in one dimension.
  public struct DimensionReading: Hashable, Sendable {
    /// What the packet is classed by, as `enum policy_dimension` calls it.
    public let dimension: String
    /// The packet's class.
    public let classNumber: UInt32
    /// The rules of the set that the class leaves possible, by their bits.
    public let bits: [Int]
  }

  /// How set `set` comes to its verdict on `packet`: the dimensions that it looks at, with what each leaves possible.
  ///
  /// The rule that decides is the lowest bit that all have, of those that are live.
  public func dimensions(of set: UInt32, on packet: PolicyPacket) throws(BPFError) -> [DimensionReading] {
    let slot = set == 0 ? 0 : maps.sets.read(Int(set))
    guard slot != 0 else { return [] }
    let header = maps.headers.read(Int(slot))
    var readings: [DimensionReading] = []
    for dimension in Dimension.allCases where header.dimensions >> UInt32(dimension.rawValue) & 1 == 1 {
      let number = try classNumber(dimension, packet)
      readings.append(
        DimensionReading(
          dimension: "\(dimension)", classNumber: number, bits: bits(at: vector(header, dimension, number))))
    }
    return readings
  }

  /// The rules of set `set` that count for the packet's family, by their bits.
  public func liveBits(of set: UInt32, on packet: PolicyPacket) -> [Int] {
    let slot = set == 0 ? 0 : maps.sets.read(Int(set))
    guard slot != 0 else { return [] }
    let header = maps.headers.read(Int(slot))
    return bits(at: Int(packet.family == .ipv4 ? header.live.0 : header.live.1))
  }

  private func bits(at vector: Int) -> [Int] {
    var bits: [Int] = []
    var next = 0
    while let bit = firstCommonBit([vector], from: next) {
      bits.append(bit)
      next = bit + 1
    }
    return bits
  }
}
