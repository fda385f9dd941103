/// Why a command could not do what it was asked for, beyond a mistake in how it was written. Exits with 2.
struct CommandFailure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}
