import MartletModel

/// What a folder of manifests says, as far as it could be understood.
///
/// A value: reading the folder again makes the next one, which keeps the last good version of what has become
/// unreadable since.
public struct ManifestContents: Sendable {
  /// The objects.
  public private(set) var state = ClusterState()
  /// What could not be used, by file and line.
  public private(set) var problems: [ManifestProblem] = []

  /// By name.
  private var files: [String: File] = [:]

  private struct File: Sendable {
    let signature: FileSystem.Signature?
    /// Whether the signature can be trusted to tell a change.
    let isSettled: Bool
    var manifest: Manifest
  }

  /// Nothing at all.
  public init() {}

  /// Reads what is new in the folder.
  ///
  /// - Returns: whether any file is new, different or gone, even if that makes no difference to the objects.
  mutating func reload(folder path: String) -> Bool {
    let names: [String]
    do {
      names = try FileSystem.names(inFolder: path).filter(Self.isManifest)
    } catch {
      return replaceProblems([ManifestProblem(severity: .error, file: path, message: error.message)])
    }
    var current: [String: File] = [:]
    for name in names {
      // Gone since, or a folder.
      guard let signature = FileSystem.signature(ofFile: "\(path)/\(name)") else { continue }
      if let known = files[name], known.isSettled, known.signature == signature {
        current[name] = known
      } else {
        current[name] = Self.read(name, in: path, after: files[name])
      }
    }
    let isChanged = files.mapValues(\.signature) != current.mapValues(\.signature)
    files = current
    return merge() || isChanged
  }

  /// Whether a file of this name is meant for us: neither hidden nor with the suffix of an editor's leftovers.
  private static func isManifest(_ name: String) -> Bool {
    !name.hasPrefix(".") && [".yaml", ".yml", ".json"].contains { name.hasSuffix($0) }
  }

  private static func read(_ name: String, in folder: String, after earlier: File?) -> File {
    var manifest: Manifest
    var signature: FileSystem.Signature?
    let start = FileSystem.now
    do {
      let file = try FileSystem.read("\(folder)/\(name)")
      signature = file.signature
      manifest = Manifest(file: name, text: file.contents)
    } catch {
      manifest = Manifest(file: name, unreadable: error.message)
    }
    if let earlier { manifest.keepGoodObjects(of: earlier.manifest) }
    let isSettled = signature.map { !$0.isRecent(at: start) } ?? false
    return File(signature: signature, isSettled: isSettled, manifest: manifest)
  }

  /// Makes one state of all files. Of several objects with the same name the last counts, as with `kubectl apply`.
  ///
  /// - Returns: whether there are other problems than before.
  private mutating func merge() -> Bool {
    var found: [ManifestProblem] = []
    var unknownKinds: Set<String> = []
    var places: [Resource.Key: (file: String, entry: Manifest.Entry)] = [:]
    state = ClusterState()
    for (name, file) in files.sorted(by: { $0.key < $1.key }) {
      var ofFile = file.manifest.problems
      for entry in file.manifest.entries {
        if let earlier = places.updateValue((name, entry), forKey: entry.resource.key) {
          ofFile.append(Self.repeated(entry, in: name, after: earlier))
        }
        state.apply(.set(entry.resource))
      }
      ofFile += file.manifest.unknownKinds.filter { unknownKinds.insert($0.key).inserted }.values
      found += ofFile.sorted { ($0.line ?? 0, $0.message) < ($1.line ?? 0, $1.message) }
    }
    return replaceProblems(found)
  }

  private static func repeated(
    _ entry: Manifest.Entry, in file: String, after earlier: (file: String, entry: Manifest.Entry)
  ) -> ManifestProblem {
    ManifestProblem(
      severity: .warning, file: file, document: entry.document, line: entry.line, object: entry.object,
      message: "is also in \(earlier.file), line \(earlier.entry.line); this one, the last, counts")
  }

  private mutating func replaceProblems(_ found: [ManifestProblem]) -> Bool {
    defer { problems = found }
    return problems != found
  }
}
