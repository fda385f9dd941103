import Glibc

/// Variables of the process.
enum Environment {
  /// Set by CI: what the machine lacks is a failure, not a skip.
  static var requiresKernel: Bool { value("MARTLET_REQUIRE_KERNEL").map { $0 != "0" && $0 != "" } ?? false }

  static func value(_ name: String) -> String? {
    // SAFETY: the string is copied before anything can change the environment; tests do not change it.
    getenv(name).map { String(cString: $0) }
  }
}
