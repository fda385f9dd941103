/// Something in a manifest that wasn't used, or not as its author may think.
///
/// ```
/// services.yaml: document 2, line 14: Service default/web: spec.ports[0].port: 70000 is not a port (1 to 65535)
/// ```
public struct ManifestProblem: Error, Hashable, Sendable {
  /// How bad it is.
  public enum Severity: String, Sendable {
    /// Something was not understood. The last good version of the object, if there was one, stays in force. A policy of
    /// which there was none, or of which nothing but rules was not understood, counts as far as it was, and lets nothing
    /// through by what was not.
    case error
    /// All was understood, and something in it has no effect.
    case warning
  }

  /// How bad it is.
  public var severity: Severity
  /// The name of the file, or the path of the folder if that is what cannot be read.
  public var file: String
  /// Which document of the file it is in, counted from 1 without the empty ones.
  public var document: Int?
  /// The line of the file, counted from 1.
  public var line: Int?
  /// The kind and name of the object, as in `Service default/web`.
  public var object: String?
  /// The path to the field within the object.
  public var field: String?
  /// What is wrong and what would be right.
  public var message: String
}

extension ManifestProblem: CustomStringConvertible {
  /// Everything in one line.
  public var description: String {
    let place = [document.map { "document \($0)" }, line.map { "line \($0)" }].compactMap { $0 }
    return [file, place.isEmpty ? nil : place.joined(separator: ", "), object, field, message]
      .compactMap { $0 }.joined(separator: ": ")
  }
}
