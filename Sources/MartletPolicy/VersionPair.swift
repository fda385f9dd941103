import CBPF

/// What an entry holds of two versions.
public protocol VersionPair {
  /// What it holds of one.
  associatedtype Value: BitwiseCopyable
  /// Of version 0, and of version 1.
  var versions: (Value, Value) { get set }
  init(versions: (Value, Value))
  /// What stands for no entry.
  static var absent: Value { get }
}

extension VersionPair {
  /// The same in both.
  public init(both value: Value) { self.init(versions: (value, value)) }

  /// By version, 0 or 1.
  public subscript(version: Int) -> Value {
    get { version == 0 ? versions.0 : versions.1 }
    set { if version == 0 { versions.0 = newValue } else { versions.1 = newValue } }
  }
}

extension policy_class: VersionPair {
  /// No class.
  public static var absent: UInt32 { 0 }
}

extension policy_set: VersionPair {
  /// The header that denies.
  public static var absent: UInt32 { 0 }
}

extension endpoint_policies: VersionPair {
  /// Not known yet.
  public static var absent: endpoint_policy { endpoint_policy() }
}

extension host_endpoints: VersionPair {
  /// None.
  public static var absent: host_endpoint { host_endpoint() }
}
