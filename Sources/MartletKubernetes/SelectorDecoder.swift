import MartletModel

extension ValueDecoder where Value == Selector {
  /// A selector in Calico's language.
  ///
  /// One about the namespace or the service account is never true of what has none.
  static func selector(of scope: LabelSelectorScope = .own) -> Self {
    Self { (value) throws(FieldError) in
      let text = try ValueDecoder<String>.string.decode(value)
      // Calico refuses the text anywhere, even within quotes.
      if text.contains("global()") {
        throw FieldError(
          value, "global() may only be the whole of the namespaceSelector of a rule's source or destination")
      }
      let selector: Selector
      do throws(SelectorSyntaxError) {
        selector = try Selector(parsing: text)
      } catch {
        throw FieldError(value, "is no selector: \(error)")
      }
      return scope.within(selector.renamingKeys(scope.key))
    }
  }

  /// The `namespaceSelector` of a rule's side, where `global()` is what has no namespace.
  static var namespacesOfRule: Self {
    Self { (value) throws(FieldError) in
      if case .string(let text) = value.content, text.split(separator: " ") == ["global()"] {
        return .not(.has(PolicyLabel.namespace))
      }
      return try ValueDecoder.selector(of: .namespace).decode(value)
    }
  }
}

extension LabelSelectorScope {
  /// The condition where it can hold at all.
  fileprivate func within(_ selector: Selector) -> Selector {
    switch self {
    case .own: selector
    case .namespace: Selector.and([.has(PolicyLabel.namespace), selector].filter { $0 != .all }).canonical
    case .serviceAccount: Selector.and([.has(PolicyLabel.serviceAccount), selector].filter { $0 != .all }).canonical
    }
  }
}
