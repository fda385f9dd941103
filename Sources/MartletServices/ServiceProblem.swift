import BPF
import MartletModel
import MartletNetworking

/// Something that an update of the service tables could not do. Everything else was done.
public struct ServiceProblem: Error, Equatable, Sendable {
  /// What stood in the way.
  public enum Reason: Equatable, Sendable {
    /// Map `map` has no run of `needed` free entries. The version before stays until there is room.
    case noRoom(map: String, needed: Int, free: Int)
    /// A map refused a write, which will be tried again.
    case map(BPFError)
    /// Somebody with a better claim has this address and port. Ours comes into force when that claim ends.
    case claimed(FrontendKey, by: ServicePortName)
    /// Two ports of the service have the same name and protocol; only the first counts.
    case duplicatePort
  }

  /// The service port, address or prefix concerned.
  public let subject: String
  /// What stood in the way.
  public let reason: Reason

  init(_ subject: some CustomStringConvertible, _ reason: Reason) {
    self.subject = subject.description
    self.reason = reason
  }
}

extension ServiceProblem: CustomStringConvertible {
  /// One line: the object, what is wrong with it, and the remedy.
  public var description: String { "\(subject): \(reason)" }
}

extension ServiceProblem.Reason: CustomStringConvertible {
  /// What is wrong, and the remedy.
  public var description: String {
    switch self {
    case .noRoom(let map, let needed, let free):
      "map \(map) has no \(needed) entries in a row (\(free) are free): the version before stays; enlarge the map"
    case .map(let error): "\(error)"
    case .claimed(let key, let owner):
      "\(key) belongs to \(owner): remove the address or port from one of them"
    case .duplicatePort:
      "another port of the service has the same name and protocol: give each port a name of its own"
    }
  }
}
