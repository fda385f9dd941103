/// How an update treats a key that is, or is not, there already.
public enum UpdateMode: UInt64, Sendable, CaseIterable {
  /// Insert or replace (`BPF_ANY`).
  case set = 0
  /// Only if the key is absent (`BPF_NOEXIST`).
  case insert = 1
  /// Only if the key is present (`BPF_EXIST`).
  case replace = 2
}
