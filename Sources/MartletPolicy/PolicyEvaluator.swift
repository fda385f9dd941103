import BPF
import CBPF
import MartletNetworking
import TableSupport

/// Asks the tables of policy what they say to a packet, step by step as the datapath does.
public struct PolicyEvaluator {
  let maps: PolicyMaps

  /// An evaluator of what is in `maps`.
  public init(_ maps: PolicyMaps) {
    self.maps = maps
  }

  /// What set `set` says to `packet`, with the ids of rules. Set 0 is none, and leaves everything to the next stage.
  ///
  /// - Throws: what a map throws when it is read.
  public func verdict(of set: UInt32, on packet: PolicyPacket) throws(BPFError) -> PolicyVerdict<UInt32> {
    guard set != 0 else { return PolicyVerdict(.next) }
    let slot = maps.sets.read(Int(set))
    guard slot != 0 else { return PolicyVerdict(.deny) }
    let header = maps.headers.read(Int(slot))
    return try verdict(header, packet)
  }

  /// The name of the rule with this id, if map `rule_names` has it.
  public func name(of rule: UInt32) throws(BPFError) -> RuleName? {
    guard let entry = try maps.ruleNames.get(rule) else { return nil }
    return RuleName(entry)
  }

  // MARK: - Classes

  /// The class of a packet in one dimension. What a map does not know is of class 0.
  func classNumber(_ dimension: Dimension, _ packet: PolicyPacket) throws(BPFError) -> UInt32 {
    switch dimension {
    case .sourceIdentity: try maps.identities.get(ip_address(packet.source)) ?? 0
    case .destinationIdentity: try maps.identities.get(ip_address(packet.destination)) ?? 0
    case .sourcePrefix: try maps.prefixes.get(ip_prefix(IPPrefix(packet.source))) ?? 0
    case .destinationPrefix: try maps.prefixes.get(ip_prefix(IPPrefix(packet.destination))) ?? 0
    case .port: maps.ports.read(packet.portIndex)
    case .sourcePort: packet.sourcePortIndex.map { maps.ports.read($0) } ?? 0
    case .tuple: try tupleClass(packet.destination, packet.destinationPort, packet)
    case .sourceTuple: try tupleClass(packet.source, packet.sourcePort, packet)
    }
  }

  private func tupleClass(_ address: IPAddress, _ port: UInt16, _ packet: PolicyPacket) throws(BPFError) -> UInt32 {
    guard packet.protocol.hasPorts else { return 0 }
    return try maps.tuples.get(PolicyTuple(address: address, protocol: packet.protocol, port: port).key) ?? 0
  }

  /// Where the vectors are that have to agree.
  private func vectors(_ header: policy_header, _ packet: PolicyPacket) throws(BPFError) -> [Int] {
    var vectors = [Int(packet.family == .ipv4 ? header.live.0 : header.live.1)]
    for dimension in Dimension.allCases where header.dimensions >> UInt32(dimension.rawValue) & 1 == 1 {
      vectors.append(vector(header, dimension, try classNumber(dimension, packet)))
    }
    return vectors
  }

  /// Where the vector of a class is.
  func vector(_ header: policy_header, _ dimension: Dimension, _ number: UInt32) -> Int {
    guard number < word(header.classes, dimension) else { return Int(word(header.fallback, dimension)) }
    return Int(maps.words.read(Int(word(header.tables, dimension)) + Int(number)))
  }

  private func word<Words: BitwiseCopyable>(_ words: Words, _ dimension: Dimension) -> UInt32 {
    withUnsafeBytes(of: words) { $0.load(fromByteOffset: dimension.rawValue * 4, as: UInt32.self) }
  }

  // MARK: - Rules

  private func verdict(_ header: policy_header, _ packet: PolicyPacket) throws(BPFError) -> PolicyVerdict<UInt32> {
    let vectors = try vectors(header, packet)
    var logged: [UInt32] = []
    var start = 0
    while let bit = firstCommonBit(vectors, from: start) {
      let rule = maps.words.read(Int(header.rules) + bit)
      let id = UInt32(rule >> UInt64(POLICY_RULE_ID_SHIFT))
      switch policy_action(UInt32(rule >> UInt64(POLICY_RULE_ACTION_SHIFT) & 0xff)) {
      case POLICY_ALLOW: return PolicyVerdict(.allow, by: id, logged: logged)
      case POLICY_DENY: return PolicyVerdict(.deny, by: id, logged: logged)
      case POLICY_REJECT: return PolicyVerdict(.reject, by: id, logged: logged)
      case POLICY_PASS: start = Int(rule & UInt64(POLICY_RULE_NEXT_MASK))
      case POLICY_LOG:
        logged.append(id)
        start = bit + 1
      default: return PolicyVerdict(.deny, by: id, logged: logged)
      }
    }
    return PolicyVerdict(header.unmatched == 0 ? .next : .deny, logged: logged)
  }

  func firstCommonBit(_ vectors: [Int], from start: Int) -> Int? {
    var word = start / 64
    var mask = UInt64.max << UInt64(start % 64)
    while word < BitVector.summaryWords * 64 {
      var summary = UInt64.max << UInt64(word % 64)
      for vector in vectors { summary &= maps.words.read(vector + word / 64) }
      guard summary != 0 else {
        (word, mask) = ((word / 64 + 1) * 64, .max)
        continue
      }
      let next = word / 64 * 64 + summary.trailingZeroBitCount
      if next != word { mask = .max }
      for vector in vectors { mask &= self.word(next, of: vector) }
      if mask != 0 { return next * 64 + mask.trailingZeroBitCount }
      (word, mask) = (next + 1, .max)
    }
    return nil
  }

  /// A word that the summary says is there.
  private func word(_ index: Int, of vector: Int) -> UInt64 {
    var position = vector + BitVector.summaryWords
    for summary in 0..<(index / 64) { position += maps.words.read(vector + summary).nonzeroBitCount }
    let summary = maps.words.read(vector + index / 64)
    return maps.words.read(position + (summary & ((1 << UInt64(index % 64)) - 1)).nonzeroBitCount)
  }
}
