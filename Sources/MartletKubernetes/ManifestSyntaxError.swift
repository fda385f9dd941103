/// Text that isn't YAML or JSON.
struct ManifestSyntaxError: Error {
  /// Counted from 1 in the file.
  let line: Int
  let message: String
}
