import MartletPolicy

/// What policy says of a packet at one of the places where it is asked.
public struct PolicyJudgement: Hashable, Sendable {
  /// Where.
  public var point: PolicyPoint
  /// The packet as policy sees it there: with its own sender, and with the receiver that a service has chosen.
  public var packet: PolicyPacket
  /// What becomes of it, and by which rules.
  public var verdict: PolicyVerdict<RuleName>

  /// This judgement.
  public init(at point: PolicyPoint, on packet: PolicyPacket, _ verdict: PolicyVerdict<RuleName>) {
    self.point = point
    self.packet = packet
    self.verdict = verdict
  }
}
