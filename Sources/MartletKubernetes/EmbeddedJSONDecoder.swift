extension ValueDecoder where Value == ManifestValue {
  /// JSON within a string, as in annotations. Its values are where the string is.
  static var embeddedJSON: Self {
    Self { (value) throws(FieldError) in
      let text = try ValueDecoder<String>.string.decode(value)
      do throws(ManifestSyntaxError) {
        var reader = JSONReader(Array(text.utf8))
        if let embedded = try reader.next() { return embedded.moved(to: value.line) }
      } catch {
        throw FieldError(value, "is not JSON: \(error.message)")
      }
      throw FieldError(value, "is not JSON: it is empty")
    }
  }
}

extension ManifestValue {
  /// The same value at another place.
  fileprivate func moved(to line: Int) -> ManifestValue {
    let moved: Content =
      switch content {
      case .list(let values): .list(values.map { $0.moved(to: line) })
      case .object(let members): .object(members.map { Member(name: $0.name, value: $0.value.moved(to: line)) })
      default: content
      }
    return ManifestValue(content: moved, line: line)
  }
}
