import MartletModel

/// A place where policy is asked: what happens there is decided by one policy set.
public enum PolicyPoint: Hashable, Sendable {
  /// What a workload of this node receives or sends.
  case workload(NamespacedName, PolicyDirection)
  /// What goes through a host endpoint of this node.
  case host(name: String, HostStage)

  /// Which packets a host endpoint is asked about, and when. As in `struct host_endpoint`.
  public enum HostStage: String, Hashable, Sendable, CaseIterable {
    /// To the host itself.
    case ingress
    /// From the host itself.
    case egress
    /// Through the host, coming in at the endpoint.
    case forwardIngress
    /// Through the host, going out at the endpoint.
    case forwardEgress
    /// Coming in, before a service is looked up.
    case beforeNAT
    /// Coming in, before connections are tracked.
    case untrackedIngress
    /// Going out, before connections are tracked.
    case untrackedEgress
  }

  /// Which rules of a policy are asked.
  public var direction: PolicyDirection {
    switch self {
    case .workload(_, let direction): direction
    case .host(_, .ingress), .host(_, .forwardIngress), .host(_, .beforeNAT), .host(_, .untrackedIngress): .ingress
    case .host(_, .egress), .host(_, .forwardEgress), .host(_, .untrackedEgress): .egress
    }
  }

  /// Whether it is a host endpoint's.
  var isHost: Bool { if case .host = self { true } else { false } }

  /// Which kinds of policies are asked here.
  var stages: Set<Policy.Stage> {
    switch self {
    case .workload, .host(_, .ingress), .host(_, .egress): [.normal, .applyOnForward]
    case .host(_, .forwardIngress), .host(_, .forwardEgress): [.applyOnForward]
    case .host(_, .beforeNAT): [.preDNAT]
    case .host(_, .untrackedIngress), .host(_, .untrackedEgress): [.doNotTrack]
    }
  }

  /// What becomes of what no rule matches.
  var ending: PolicyEnding {
    switch self {
    case .workload, .host(_, .ingress), .host(_, .egress): .profiles
    case .host(_, .forwardIngress), .host(_, .forwardEgress): .tiers
    case .host(_, .beforeNAT), .host(_, .untrackedIngress), .host(_, .untrackedEgress): .open
    }
  }
}

extension PolicyPoint: CustomStringConvertible {
  /// `workload default/web, ingress`, `host endpoint eth0, before-NAT`.
  public var description: String {
    switch self {
    case .workload(let name, let direction): "workload \(name), \(direction.rawValue.lowercased())"
    case .host(let name, let stage): "host endpoint \(name), \(stage.rawValue)"
    }
  }
}

/// How the list of rules of a point ends.
enum PolicyEnding: Hashable, Sendable {
  /// Tiers end as they say; then the endpoint's profiles decide, and deny what they do not match.
  case profiles
  /// Tiers end as they say; what they pass is for the next stage.
  case tiers
  /// Nothing is denied but by a rule; all else is for the next stage.
  case open
}
