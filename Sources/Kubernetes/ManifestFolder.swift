import Model

/// A folder with manifests: files with Kubernetes API objects, from which the desired state is read.
///
/// Every file called `*.yaml`, `*.yml` or `*.json` counts, but hidden ones. A file may hold several documents, and a
/// document a `List`. Of the objects, those of kind Service, EndpointSlice (`discovery.k8s.io/v1`), Pod, Node,
/// Namespace and ServiceCIDR (`networking.k8s.io/v1`) are used. Where the same object is in two places the last counts,
/// files being taken in order of name.
///
/// Fields mean what they mean to the API server, which fills in defaults that manifests leave out. What is malformed is
/// reported with its place and changes nothing: the last good version of the object stays in force, and everything else
/// goes on.
///
/// ```swift
/// for await update in ManifestFolder(path: "/etc/martlet/manifests").changes {
///   for problem in update.problems { logger.warning("\(problem)") }
///   try dataPlane.apply(update.changes)
/// }
/// ```
///
/// To change a file without anybody seeing half of it, write another and rename it into place.
///
/// Two annotations of a Service are the data plane's own: `martlet.dev/load-balancing`, `random` or `maglev`, and
/// `martlet.dev/forwarding`, `auto`, `tunnel` or `dsr`.
public struct ManifestFolder: Sendable {
  /// The folder's path.
  public let path: String

  /// The folder at `path`, which need not exist yet.
  public init(path: String) {
    self.path = path
  }

  /// Reads every manifest.
  ///
  /// That the folder itself cannot be read is one of the problems too.
  public func load() -> ManifestContents {
    var contents = ManifestContents()
    _ = contents.reload(folder: path)
    return contents
  }

  /// The folder's objects, and from then on what changes.
  ///
  /// The first update comes at once and holds all there is.
  public var changes: ManifestChanges {
    ManifestChanges(path: path, contents: nil)
  }

  /// What has changed since `contents` was loaded, and from then on what changes.
  public func changes(since contents: ManifestContents) -> ManifestChanges {
    ManifestChanges(path: path, contents: contents)
  }
}
