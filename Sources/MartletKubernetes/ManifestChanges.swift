import MartletModel

/// A change of the files in a folder of manifests.
public struct ManifestUpdate: Sendable {
  /// What is different now, in the order of ``MartletModel/ClusterState/changes(to:)``. Empty if files changed in ways that make
  /// no difference.
  public let changes: [StateChange]
  /// The desired state with the changes made.
  public let state: ClusterState
  /// All that is wrong now, be it new or not.
  public let problems: [ManifestProblem]
}

/// The changes of a folder of manifests, until the task is cancelled.
///
/// Changes that come faster than they are taken are put together; none is lost. Each iterator follows the folder on its
/// own, with a thread that waits for `inotify(7)`.
public struct ManifestChanges: AsyncSequence, Sendable {
  /// An update for each time that files have changed.
  public typealias Element = ManifestUpdate

  let path: String
  let contents: ManifestContents?

  /// Begins to follow the folder.
  public func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(path: path, contents: contents)
  }

  /// Follows the folder.
  public struct AsyncIterator: AsyncIteratorProtocol {
    private let path: String
    private var contents: ManifestContents
    /// Whether the next update is due whatever it holds.
    private var isFirst: Bool
    private var isStarted = false
    private let watch: FolderWatch
    private var signals: AsyncStream<Void>.Iterator

    /// Editors and scripts do several things at once; what they do within this time is one change.
    private static let settlingTime = Duration.milliseconds(5)

    init(path: String, contents: ManifestContents?) {
      self.path = path
      self.contents = contents ?? ManifestContents()
      isFirst = contents == nil
      watch = FolderWatch(folder: path)
      signals = watch.signals.makeAsyncIterator()
    }

    /// The next update; `nil` once the task is cancelled.
    public mutating func next() async -> ManifestUpdate? {
      while !Task.isCancelled {
        if isStarted {
          guard await signals.next() != nil else { return nil }
          try? await Task.sleep(for: Self.settlingTime)
        }
        isStarted = true
        if let update = reload() { return update }
      }
      return nil
    }

    private mutating func reload() -> ManifestUpdate? {
      let before = contents.state
      let isChanged = contents.reload(folder: path)
      let changes = before.changes(to: contents.state)
      defer { isFirst = false }
      guard isChanged || isFirst || !changes.isEmpty else { return nil }
      return ManifestUpdate(changes: changes, state: contents.state, problems: contents.problems)
    }
  }
}
