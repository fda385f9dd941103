/// What becomes of a packet, and why: as the attached programs do it, and as the model has it.
public struct Explanation: Hashable, Sendable, Codable {
  /// The packet.
  public var packet: String
  /// The program that sees it first, and where.
  public var seenBy: String
  /// The service port that has its destination, if one has.
  public var service: String?
  /// The backend, or those that could be chosen for it.
  public var backends: [String]
  /// The policies that are asked, in order, up to the one that denies.
  public var steps: [Step]
  /// What the programs did with it.
  public var verdict: String
  /// Why they dropped it, if they did: a counter and its meaning.
  public var dropReason: String?
  /// Where programs, tables and objects say different things. Empty: they agree.
  public var disagreements: [String]

  /// A place where policy is asked.
  public struct Step: Hashable, Sendable, Codable {
    /// The place: "workload default/web, ingress".
    public var point: String
    /// The packet as it is seen there.
    public var packet: String
    /// The policies that apply, each with its tier, in order.
    public var policies: [String]
    /// The rules that recorded the packet on the way.
    public var logged: [String]
    /// The rule that decided; `nil` if none matched.
    public var rule: String?
    /// Allow, Deny, Reject, or Next: the next stage decides.
    public var decision: String
    /// Decision and rule as they would be if staged policies were in force; `nil`: the same.
    public var staged: String?
  }
}
