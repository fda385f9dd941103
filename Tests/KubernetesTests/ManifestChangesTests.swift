import Foundation
import MartletKubernetes
import MartletModel
import MartletNetworking
import Testing

private func key(_ name: String) -> Resource.Key { .service(NamespacedName(namespace: "default", name: name)) }

private func service(_ name: String, port: Int = 80) -> String {
  "apiVersion: v1\nkind: Service\nmetadata: {name: \(name)}\nspec: {ports: [{port: \(port)}]}\n"
}

/// Follows a folder, and keeps it.
private struct Follower {
  private let folder: TemporaryFolder
  private var updates: ManifestChanges.AsyncIterator

  init(_ folder: TemporaryFolder, since contents: ManifestContents? = nil) {
    self.folder = folder
    let manifests = ManifestFolder(path: folder.path)
    updates = (contents.map(manifests.changes) ?? manifests.changes).makeAsyncIterator()
  }

  mutating func next() async throws -> ManifestUpdate {
    try #require(await updates.next())
  }

  /// The update after which `isDone` holds: a change of several files may come in several.
  mutating func next(until isDone: (ClusterState) -> Bool) async throws -> ManifestUpdate {
    while true {
      let update = try await next()
      if isDone(update.state) { return update }
    }
  }
}

// A change that isn't noticed would be waited for without end.
@Suite(.timeLimit(.minutes(1)))
struct ManifestChangesTests {
  @Test func `the first update is all there is, even if that is nothing`() async throws {
    let folder = try TemporaryFolder(["a.yaml": service("a")])
    var follower = Follower(folder)
    #expect(try await follower.next().changes.map(\.key) == [key("a")])

    let empty = try TemporaryFolder()
    var patient = Follower(empty)
    #expect(try await patient.next().changes == [])
  }

  @Test func `a file that is renamed into place, written, or removed is a change`() async throws {
    let folder = try TemporaryFolder()
    var follower = Follower(folder)
    _ = try await follower.next()

    try folder.rename(into: "a.yaml", service("a"))
    #expect(try await follower.next().changes.map(\.key) == [key("a")])
    try folder.rename(into: "a.yaml", service("a", port: 81))
    let changed = try await follower.next()
    #expect(changed.changes == changed.state.services.values.map { .set(.service($0)) })
    #expect(changed.state.services.values.map(\.ports) == [[.init(port: 81)]])

    try folder.write("b.json", #"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "b"}}"#)
    _ = try await follower.next { $0[key("b")] != nil }
    try folder.remove("a.yaml")
    #expect(try await follower.next().changes == [.removed(key("a"))])
  }

  @Test func `what happened since the contents were loaded isn't missed`() async throws {
    let folder = try TemporaryFolder(["a.yaml": service("a")])
    let contents = folder.load()
    try folder.write("b.yaml", service("b"))
    var follower = Follower(folder, since: contents)
    #expect(try await follower.next().changes.map(\.key) == [key("b")])
  }

  @Test func `an object whose manifest goes wrong stays as it was while others change`() async throws {
    let folder = try TemporaryFolder(["a.yaml": "\(service("a"))---\n\(service("b"))"])
    var follower = Follower(folder)
    _ = try await follower.next()

    try folder.rename(into: "a.yaml", "\(service("a", port: 70_000))---\n\(service("b", port: 81))")
    let update = try await follower.next()
    #expect(update.changes.map(\.key) == [key("b")])
    #expect(update.state[key("a")] != nil)
    #expect(update.problems.map(\.object) == ["Service default/a"])

    // A bad version may follow a bad one.
    try folder.rename(into: "a.yaml", "\(service("a", port: 70_001))---\n\(service("b", port: 81))")
    let again = try await follower.next()
    #expect(again.changes == [])
    #expect(again.state[key("a")] != nil)

    try folder.rename(into: "a.yaml", service("b", port: 81))
    let gone = try await follower.next()
    #expect(gone.changes == [.removed(key("a"))])
    #expect(gone.problems == [])
  }

  @Test func `an object that may be in an unreadable document stays`() async throws {
    let folder = try TemporaryFolder(["a.yaml": "\(service("a"))---\n\(service("b"))"])
    var follower = Follower(folder)
    _ = try await follower.next()
    try folder.rename(into: "a.yaml", "kind: [\n---\n\(service("b", port: 81))---\n\(service("c"))")
    let update = try await follower.next()
    #expect(update.changes.map(\.key) == [key("b"), key("c")])
    #expect(update.state[key("a")] != nil)
    #expect(update.problems.count == 1)
  }

  @Test func `the state outlives the folder, and follows its successor`() async throws {
    let folder = try TemporaryFolder(["a.yaml": service("a"), "b.yaml": service("b")])
    var follower = Follower(folder)
    _ = try await follower.next()

    try folder.remove()
    var update = try await follower.next { _ in true }
    // The files go before the folder does, and may be seen gone.
    while update.problems.isEmpty { update = try await follower.next() }
    #expect(update.problems.first?.file == folder.path)
    let kept = update.state

    try folder.create()
    try folder.rename(into: "c.yaml", service("c"))
    let successor = try await follower.next { $0[key("c")] != nil }
    #expect(successor.state.services.count == 1)
    #expect(kept[key("c")] == nil)
    #expect(successor.problems == [])

    // And it is watched, not only looked at now and then.
    let start = ContinuousClock.now
    try folder.rename(into: "c.yaml", service("c", port: 81))
    _ = try await follower.next()
    #expect(start.duration(to: .now) < .seconds(2))
  }

  @Test func `a folder that comes into being later is found`() async throws {
    let folder = try TemporaryFolder()
    try folder.remove()
    var follower = Follower(folder)
    #expect(try await follower.next().problems.count == 1)
    try folder.create()
    try folder.write("a.yaml", service("a"))
    let update = try await follower.next { !$0.services.isEmpty }
    #expect(update.problems == [])
  }

  @Test func `files replaced by switching a symbolic link are a change`() async throws {
    // As the kubelet updates a ConfigMap that is mounted.
    let folder = try TemporaryFolder()
    let files = FileManager.default
    for (name, port) in [("..1", 80), ("..2", 81)] {
      try files.createDirectory(atPath: folder.file(name), withIntermediateDirectories: false)
      try folder.write("\(name)/a.yaml", service("a", port: port))
    }
    try files.createSymbolicLink(atPath: folder.file("..data"), withDestinationPath: "..1")
    try files.createSymbolicLink(atPath: folder.file("a.yaml"), withDestinationPath: "..data/a.yaml")
    var follower = Follower(folder)
    #expect(try await follower.next().changes.map(\.key) == [key("a")])

    try files.createSymbolicLink(atPath: folder.file("..new"), withDestinationPath: "..2")
    try #require(rename(folder.file("..new"), folder.file("..data")) == 0)
    #expect(try await follower.next().state.services.values.map(\.ports) == [[.init(port: 81)]])
  }

  @Test func `however fast files change, the last state arrives`() async throws {
    let folder = try TemporaryFolder()
    var follower = Follower(folder)
    var state = try await follower.next().state
    for round in 1...200 {
      try folder.rename(into: "\(round % 7).yaml", service("s\(round % 7)", port: round))
    }
    let expected = folder.load().state
    while state != expected {
      let update = try await follower.next()
      for change in update.changes { state.apply(change) }
      #expect(state == update.state)
    }
  }

  @Test func `a cancelled task is not kept waiting`() async throws {
    let folder = try TemporaryFolder()
    let changes = ManifestFolder(path: folder.path).changes
    let task = Task {
      var count = 0
      for await _ in changes { count += 1 }
      return count
    }
    try await Task.sleep(for: .milliseconds(50))
    task.cancel()
    #expect(await task.value == 1)
    withExtendedLifetime(folder) {}
  }

  @Test func `who no longer follows a folder leaves no descriptor open`() async throws {
    func inotifyDescriptors() throws -> Int {
      try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")) == "anon_inode:inotify"
      }
    }
    let folder = try TemporaryFolder()
    func follow() async throws {
      var followers = (0..<100).map { _ in Follower(folder) }
      for index in followers.indices { _ = try await followers[index].next() }
      #expect(try inotifyDescriptors() >= 100)
    }
    try await follow()
    // The threads close them in their own time; other tests have a few.
    let end = ContinuousClock.now + .seconds(5)
    while try inotifyDescriptors() > 50, .now < end { try await Task.sleep(for: .milliseconds(20)) }
    #expect(try inotifyDescriptors() <= 50)
  }
}
