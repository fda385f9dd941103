/// What is wrong with an object of which the rest counts nevertheless.
struct FieldProblems {
  /// What was not understood.
  private(set) var errors: [FieldError] = []
  /// What was understood and has no effect here.
  private(set) var warnings: [FieldError] = []
  /// Whether the errors are about single elements of lists, and everything else was understood.
  var areOfElements = false

  mutating func note(_ error: FieldError) {
    errors.append(error)
  }

  mutating func warn(_ warning: FieldError) {
    warnings.append(warning)
  }

  /// What `read` returns; `nil`, with the error noted, if it throws.
  mutating func attempt<Value>(_ read: () throws(FieldError) -> Value) -> Value? {
    do throws(FieldError) {
      return try read()
    } catch {
      errors.append(error)
      return nil
    }
  }

  /// Takes over what is wrong with a part, whose place `within` adds to each path.
  mutating func adopt(_ part: FieldProblems, within: (FieldError) -> FieldError) {
    errors += part.errors.map(within)
    warnings += part.warnings.map(within)
  }
}
