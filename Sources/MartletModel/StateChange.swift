/// A difference between one desired state and the next.
public enum StateChange: Hashable, Sendable {
  /// The object is now this, whether it is new or was different.
  case set(Resource)
  /// The object is gone.
  case removed(Resource.Key)

  /// Which object it is about.
  public var key: Resource.Key {
    switch self {
    case .set(let resource): resource.key
    case .removed(let key): key
    }
  }
}
