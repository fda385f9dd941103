import MartletModel

/// What all API objects have in common.
struct ObjectMetadata {
  let name: String
  /// As written, or the one that `kubectl` assumes.
  let namespace: String
  let uid: String
  let labels: [String: String]
  let isBeingDeleted: Bool
  /// What is wrong with anything but the name.
  let problem: FieldError?

  /// What is understood of the object's metadata: at least which object it is.
  init(_ object: ManifestValue) throws(FieldError) {
    guard let metadata = try object.optional("metadata", .object) else {
      throw FieldError(object, "is missing").inMember("metadata")
    }
    do throws(FieldError) {
      name = try metadata.required("name", .name)
      namespace = try metadata.nonempty("namespace", .string) ?? "default"
    } catch {
      throw error.inMember("metadata")
    }
    var problems = FieldProblems()
    uid = problems.attempt { () throws(FieldError) in try metadata.optional("uid", .string) ?? "" } ?? ""
    labels = problems.attempt { () throws(FieldError) in try metadata.optional("labels", .strings) ?? [:] } ?? [:]
    isBeingDeleted = metadata["deletionTimestamp"] != nil
    problem = problems.errors.first?.inMember("metadata")
  }

  /// The object's metadata, all of which has to be understood.
  init(whole object: ManifestValue) throws(FieldError) {
    try self.init(object)
    if let problem { throw problem }
  }

  var namespacedName: NamespacedName {
    NamespacedName(namespace: namespace, name: name)
  }
}

/// Labels and annotations with a meaning for the data plane.
enum WellKnownName {
  static let serviceName = "kubernetes.io/service-name"
  static let serviceProxyName = "service.kubernetes.io/service-proxy-name"
  static let headless = "service.kubernetes.io/headless"
  static let namespaceName = "kubernetes.io/metadata.name"
  static let sourceRanges = "service.beta.kubernetes.io/load-balancer-source-ranges"
  static let loadBalancing = "martlet.dev/load-balancing"
  static let weight = "martlet.dev/weight"
  static let forwarding = "martlet.dev/forwarding"
  /// The name of a namespace or service account, to Calico's selectors of their labels.
  static let calicoName = "projectcalico.org/name"
  static let calicoMetadata = "projectcalico.org/metadata"
  static let allowedSources = "cni.projectcalico.org/allowedSourcePrefixes"
  static let deny = "martlet.dev/deny"
  static let connectTimeBalancing = "martlet.dev/connect-time-balancing"

  /// What the data plane's own annotations begin with.
  static let ownPrefix = "martlet.dev/"
  static let own: Set = [loadBalancing, weight, forwarding, deny, connectTimeBalancing]
}

extension ManifestValue {
  /// A warning for each annotation of the object that looks like one of the data plane's own and is none.
  var unknownAnnotations: [FieldError] {
    guard case .object(let annotations)? = self["metadata"]?["annotations"]?.content else { return [] }
    return annotations.filter { $0.name.hasPrefix(WellKnownName.ownPrefix) && !WellKnownName.own.contains($0.name) }
      .map {
        FieldError($0.value, "has no effect; known are \(WellKnownName.own.sorted().joined(separator: ", "))")
          .inMember($0.name).inMember("annotations").inMember("metadata")
      }
  }
}
