import Foundation

/// A JSON value, written as a literal.
enum JSON: Sendable, Equatable {
  case null
  case boolean(Bool)
  case number(Int)
  case string(String)
  case list([JSON])
  case object([String: JSON])

  /// The member called `key`; setting one on anything but an object makes it one, setting it to `nil` removes it.
  subscript(key: String) -> JSON? {
    get { if case .object(let members) = self { members[key] } else { nil } }
    set {
      var members: [String: JSON] = if case .object(let members) = self { members } else { [:] }
      members[key] = newValue
      self = .object(members)
    }
  }

  /// The value with the members of `other` added, in place of those of the same name; objects in both are merged.
  func merging(_ other: JSON) -> JSON {
    guard case .object(let left) = self, case .object(let right) = other else { return other }
    return .object(left.merging(right) { $0.merging($1) })
  }

  /// As a file has it.
  var text: String { get throws { String(decoding: try JSONEncoder().encode(self), as: UTF8.self) } }
}

extension JSON: Encodable {
  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .boolean(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .string(let value): try container.encode(value)
    case .list(let values): try container.encode(values)
    case .object(let members): try container.encode(members)
    }
  }
}

extension JSON: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByStringInterpolation, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  init(nilLiteral: ()) { self = .null }
  init(booleanLiteral value: Bool) { self = .boolean(value) }
  init(integerLiteral value: Int) { self = .number(value) }
  init(stringLiteral value: String) { self = .string(value) }
  init(arrayLiteral elements: JSON...) { self = .list(elements) }
  init(dictionaryLiteral elements: (String, JSON)...) { self = .object(Dictionary(elements) { $1 }) }
}
