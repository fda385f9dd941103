import Foundation
import MartletKubernetes
import MartletModel
import Synchronization

/// The folder that a cluster's state is read from.
final class ManifestSource: Sendable {
  private let path: String
  private let contents = Mutex(ManifestContents())

  init() throws {
    path = FileManager.default.temporaryDirectory.appending(path: "cluster-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Writes the objects to one file and `yaml`, if there is any, to another.
  func write(_ objects: [JSON], yaml: String = "") throws {
    let list: JSON = ["apiVersion": "v1", "kind": "List", "items": .list(objects)]
    try Data(try list.text.utf8).write(to: URL(filePath: "\(path)/objects.json"), options: .atomic)
    try Data(yaml.utf8).write(to: URL(filePath: "\(path)/objects.yaml"), options: .atomic)
  }

  /// Reads the folder anew.
  func read() throws -> ClusterState {
    let folder = ManifestFolder(path: path).load()
    contents.withLock { $0 = folder }
    return folder.state
  }

  /// As read last.
  var state: ClusterState { contents.withLock(\.state) }
  /// What was wrong with what was read last.
  var problems: [String] { contents.withLock { $0.problems.map(\.description) } }
}
