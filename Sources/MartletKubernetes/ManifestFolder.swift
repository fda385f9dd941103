import MartletModel

/// A folder with manifests: files with Kubernetes API objects, from which the desired state is read.
///
/// Every file called `*.yaml`, `*.yml` or `*.json` counts, but hidden ones. A file may hold several documents, and a
/// document a `List`. Where the same object is in two places the last counts, files being taken in order of name. These
/// objects are used:
///
/// | Group | Kinds |
/// |---|---|
/// | `v1` | Service, Pod, Node, Namespace, ServiceAccount |
/// | `discovery.k8s.io/v1` | EndpointSlice |
/// | `networking.k8s.io/v1` | NetworkPolicy, ServiceCIDR |
/// | `policy.networking.k8s.io` | ClusterNetworkPolicy (`v1alpha2`, `v1beta1`), AdminNetworkPolicy and BaselineAdminNetworkPolicy (`v1alpha1`) |
/// | `projectcalico.org/v3`, `crd.projectcalico.org/v1` | NetworkPolicy, GlobalNetworkPolicy, StagedNetworkPolicy, StagedGlobalNetworkPolicy, StagedKubernetesNetworkPolicy, Tier, NetworkSet, GlobalNetworkSet, HostEndpoint, Profile |
///
/// Other kinds have no effect and cause a warning; in the groups of policies, a kind that is not known is an error.
///
/// Fields mean what they mean to the API server, which fills in defaults that manifests leave out. What is malformed is
/// reported with its place and changes nothing: the last good version of the object stays in force, and everything else
/// goes on. But a rule of a policy that is malformed lets nothing through from then on.
///
/// ```swift
/// for await update in ManifestFolder(path: "/etc/martlet/manifests").changes {
///   for problem in update.problems { logger.warning("\(problem)") }
///   let failures = hasStarted ? dataPlane.apply(update.changes) : dataPlane.start(with: update.state)
///   hasStarted = true
///   for failure in failures { logger.warning("\(failure)") }
/// }
/// ```
///
/// To change a file without anybody seeing half of it, write another and rename it into place.
///
/// In a policy, every field counts: one that is not known is an error too, and where there is no earlier version of the
/// policy it fails closed. Rules that let packets through and are not understood match nothing, others deny everything
/// of their direction; if anything but a rule is not understood, no rule of the policy lets anything through. Of whom it
/// applies to, a condition that is not understood is left out, so that it applies to more, though never beyond its
/// namespace; a policy of the whole cluster of which no such condition is understood applies to nobody.
///
/// Annotations of the data plane's own:
///
/// | Of | Annotation | |
/// |---|---|---|
/// | Service | `martlet.dev/load-balancing` | `random` or `maglev` |
/// | Service | `martlet.dev/forwarding` | `default`, `auto`, `tunnel` or `dsr` |
/// | EndpointSlice | `martlet.dev/weight` | 1 to 100: how many times as many connections each endpoint gets |
/// | Pod | `martlet.dev/connect-time-balancing` | `disabled` leaves its sockets alone |
/// | a policy | `martlet.dev/deny` | `drop` or `reject`: whether what it denies is answered |
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
