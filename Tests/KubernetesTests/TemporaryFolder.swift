import Foundation
import MartletKubernetes
import MartletModel

/// A folder of manifests that is removed with this object.
final class TemporaryFolder: Sendable {
  let path: String

  init(_ files: [String: String] = [:]) throws {
    path = FileManager.default.temporaryDirectory.appending(path: "manifests-\(UUID().uuidString)").path
    try create()
    for (name, text) in files { try write(name, text) }
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path)
  }

  /// What the folder says now.
  func load() -> ManifestContents {
    // Not before it is read may the folder go.
    withExtendedLifetime(self) { ManifestFolder(path: path).load() }
  }

  func create() throws {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  func remove(_ name: String? = nil) throws {
    try FileManager.default.removeItem(atPath: name.map(file) ?? path)
  }

  /// In place, as an editor or `echo` may do it.
  func write(_ name: String, _ text: String) throws {
    try Data(text.utf8).write(to: URL(filePath: file(name)))
  }

  /// The way that is recommended.
  func rename(into name: String, _ text: String) throws {
    try write("\(name).tmp", text)
    guard Foundation.rename(file("\(name).tmp"), file(name)) == 0 else { throw POSIXError(.EIO) }
  }

  func file(_ name: String) -> String { "\(path)/\(name)" }
}

/// What a folder with these files says.
func contents(_ files: [String: String]) throws -> ManifestContents {
  try TemporaryFolder(files).load()
}

extension ManifestContents {
  /// What was complained about, as a log shows it.
  var complaints: [String] { problems.map(\.description) }
}
