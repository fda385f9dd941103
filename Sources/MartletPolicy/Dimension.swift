import CBPF

/// What packets are classed by: `enum policy_dimension`.
enum Dimension: Int, CaseIterable {
  case sourceIdentity
  case destinationIdentity
  case sourcePrefix
  case destinationPrefix
  case port
  case sourcePort
  case tuple
  case sourceTuple

  /// Where the dimension's classes are.
  var space: SpaceKind {
    switch self {
    case .sourceIdentity, .destinationIdentity: .identity
    case .sourcePrefix, .destinationPrefix: .prefix
    case .port: .port
    case .sourcePort: .sourcePort
    case .tuple, .sourceTuple: .tuple
    }
  }

  static let count = allCases.count
}

/// A map that classes come from, or a part of one.
enum SpaceKind: CaseIterable {
  case identity
  case prefix
  case port
  case sourcePort
  case tuple
}

/// The classes of every map.
final class ClassSpaces {
  private let identity = ClassSpace()
  private let prefix = ClassSpace()
  private let port = ClassSpace()
  private let sourcePort = ClassSpace()
  private let tuple = ClassSpace()

  subscript(kind: SpaceKind) -> ClassSpace {
    switch kind {
    case .identity: identity
    case .prefix: prefix
    case .port: port
    case .sourcePort: sourcePort
    case .tuple: tuple
    }
  }

  subscript(dimension: Dimension) -> ClassSpace { self[dimension.space] }
}
