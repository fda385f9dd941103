import MartletNetworking

/// How to make a `Value` of what a manifest says, or to say why not.
///
/// Objects are decoded field by field with these rather than through `Codable`, whose errors know no lines and whose
/// defaults aren't those of the API.
struct ValueDecoder<Value> {
  let decode: (ManifestValue) throws(FieldError) -> Value

  init(_ decode: @escaping (ManifestValue) throws(FieldError) -> Value) {
    self.decode = decode
  }

  /// A value that has a text form: `parse` makes it of a string, or returns `nil` if the string is not `expected`.
  init(text expected: String, _ parse: @escaping (String) -> Value?) {
    self.init { (value) throws(FieldError) in
      let text = try ValueDecoder<String>.string.decode(value)
      guard let parsed = parse(text) else { throw FieldError(value, "\"\(text)\" is not \(expected)") }
      return parsed
    }
  }
}

// MARK: - Members of an object

extension ManifestValue {
  /// The member called `name`, or `nil` if it is absent or null.
  func optional<Value>(_ name: String, _ decoder: ValueDecoder<Value>) throws(FieldError) -> Value? {
    guard case .object = content else {
      throw FieldError(self, "expected an object, found \(contentDescription)")
    }
    guard let member = self[name] else { return nil }
    do throws(FieldError) {
      return try decoder.decode(member)
    } catch {
      throw error.inMember(name)
    }
  }

  /// The member called `name`.
  func required<Value>(_ name: String, _ decoder: ValueDecoder<Value>) throws(FieldError) -> Value {
    guard let value = try optional(name, decoder) else { throw FieldError(self, "is missing").inMember(name) }
    return value
  }

  /// The values of the list called `name`; none if it is absent or null.
  func list<Value>(_ name: String, of decoder: ValueDecoder<Value>) throws(FieldError) -> [Value] {
    try optional(name, .list(of: decoder)) ?? []
  }

  /// What `decode` makes of the object called `name`; `nil` if it is absent or null.
  @discardableResult
  func inside<Value>(
    _ name: String, _ decode: (ManifestValue) throws(FieldError) -> Value?
  ) throws(FieldError) -> Value? {
    guard let member = try optional(name, .object) else { return nil }
    do throws(FieldError) {
      return try decode(member)
    } catch {
      throw error.inMember(name)
    }
  }
}

// MARK: - Any API's values

extension ValueDecoder where Value == ManifestValue {
  /// An object, as it is.
  static var object: Self {
    Self { (value) throws(FieldError) in
      guard case .object = value.content else {
        throw FieldError(value, "expected an object, found \(value.contentDescription)")
      }
      return value
    }
  }
}

extension ValueDecoder {
  /// A list whose values are all made by `decoder`.
  static func list<Element>(of decoder: ValueDecoder<Element>) -> Self where Value == [Element] {
    Self { (value) throws(FieldError) in
      guard case .list(let values) = value.content else {
        throw FieldError(value, "expected a list, found \(value.contentDescription)")
      }
      var elements: [Element] = []
      elements.reserveCapacity(values.count)
      for (index, value) in values.enumerated() {
        do throws(FieldError) {
          elements.append(try decoder.decode(value))
        } catch {
          throw error.atIndex(index)
        }
      }
      return elements
    }
  }
}

extension ValueDecoder where Value == String {
  /// A string.
  static var string: Self {
    Self { (value) throws(FieldError) in
      switch value.content {
      case .string(let text): return text
      case .bool, .integer, .number:
        throw FieldError(value, "expected a string, found \(value.contentDescription): put it in quotes")
      default: throw FieldError(value, "expected a string, found \(value.contentDescription)")
      }
    }
  }

  /// A string that isn't empty.
  static var name: Self { Self(text: "a name") { $0.isEmpty ? nil : $0 } }
}

extension ValueDecoder where Value == Bool {
  /// True or false.
  static var bool: Self {
    Self { (value) throws(FieldError) in
      guard case .bool(let bool) = value.content else {
        throw FieldError(value, "expected true or false, found \(value.contentDescription)")
      }
      return bool
    }
  }
}

extension ValueDecoder where Value == [String: String] {
  /// Strings by name, as labels and annotations are.
  static var strings: Self {
    Self { (value) throws(FieldError) in
      guard case .object(let members) = value.content else {
        throw FieldError(value, "expected an object, found \(value.contentDescription)")
      }
      var strings: [String: String] = [:]
      for member in members {
        do throws(FieldError) {
          strings[member.name] = try ValueDecoder<String>.string.decode(member.value)
        } catch {
          throw error.inMember(member.name)
        }
      }
      return strings
    }
  }
}

extension ValueDecoder where Value: FixedWidthInteger {
  /// A whole number in `range`.
  static func integer(in range: ClosedRange<Value>, called what: String) -> Self {
    Self { (value) throws(FieldError) in
      guard case .integer(let number) = value.content else {
        throw FieldError(value, "expected a whole number, found \(value.contentDescription)")
      }
      guard let integer = Value(exactly: number), range.contains(integer) else {
        throw FieldError(value, "\(number) is not \(what) (\(range.lowerBound) to \(range.upperBound))")
      }
      return integer
    }
  }
}

extension ValueDecoder where Value == UInt16 {
  /// A port number.
  static var port: Self { .integer(in: 1...UInt16.max, called: "a port") }
}

extension ValueDecoder where Value == UInt16? {
  /// A port number, where 0 says that there is none.
  static var portOrZero: Self {
    Self { (value) throws(FieldError) in
      let port = try ValueDecoder<UInt16>.integer(in: 0...UInt16.max, called: "a port or 0").decode(value)
      return port == 0 ? nil : port
    }
  }
}

extension ValueDecoder where Value == L4Protocol {
  /// A protocol that has ports.
  static var portProtocol: Self {
    Self(text: "a protocol with ports (TCP, UDP or SCTP)") { L4Protocol($0).flatMap { $0.hasPorts ? $0 : nil } }
  }
}

extension ValueDecoder where Value == IPAddress {
  /// An address.
  static var address: Self { Self(text: "an IP address") { IPAddress($0) } }
}

extension ValueDecoder where Value == IPPrefix {
  /// A range of addresses, which has a length and may have blanks around it or bits after the length.
  static var prefix: Self {
    Self(text: "a range of addresses (ADDRESS/LENGTH)") { IPPrefix(cidr: $0) }
  }
}

extension IPPrefix {
  /// A range as the API writes it: always with a length, host bits and blanks around it tolerated.
  init?(cidr text: some StringProtocol) {
    let blanks = text.prefix(while: \.isWhitespace).count
    let trimmed = text.dropFirst(blanks).reversed().drop(while: \.isWhitespace).reversed()
    let written = String(trimmed)
    guard written.contains("/") else { return nil }
    self.init(written, hostBits: .cleared)
  }
}

extension ValueDecoder where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
  /// One of a fixed set of words.
  static var choice: Self {
    Self(text: "one of \(Value.allCases.map(\.rawValue).joined(separator: ", "))") { Value(rawValue: $0) }
  }
}

extension ValueDecoder {
  /// What `decoder` makes, or `nil` of an empty string, which the API takes for absent.
  static func unlessEmpty<Wrapped>(_ decoder: ValueDecoder<Wrapped>) -> Self where Value == Wrapped? {
    Self { (value) throws(FieldError) in
      if case .string("") = value.content { return nil }
      return try decoder.decode(value)
    }
  }
}

extension ManifestValue {
  /// The member called `name`, or `nil` if it is absent, null or an empty string.
  func nonempty<Value>(_ name: String, _ decoder: ValueDecoder<Value>) throws(FieldError) -> Value? {
    try optional(name, .unlessEmpty(decoder)) ?? nil
  }
}
