/// A field of an API object that isn't what the API says.
struct FieldError: Error {
  /// Names and indices from the innermost to the outermost.
  ///
  /// Built while the error travels up, so that a good object costs nothing.
  private var steps: [String] = []
  let line: Int
  let message: String

  init(_ value: ManifestValue, _ message: String) {
    line = value.line
    self.message = message
  }

  /// The path to the field, as in `spec.ports[0].port`. Empty for the object itself.
  var path: String {
    steps.reversed().reduce("") { path, step in
      path.isEmpty || step.hasPrefix("[") ? path + step : "\(path).\(step)"
    }
  }

  func inMember(_ name: String) -> FieldError {
    var error = self
    let isPlain = name.utf8.allSatisfy { $0 != UInt8(ascii: ".") && $0 != UInt8(ascii: "/") }
    error.steps.append(isPlain ? name : "[\"\(name)\"]")
    return error
  }

  func atIndex(_ index: Int) -> FieldError {
    var error = self
    error.steps.append("[\(index)]")
    return error
  }
}
