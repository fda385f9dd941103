/// An array of programs for tail calls (`BPF_MAP_TYPE_PROG_ARRAY`).
///
/// ```swift
/// let steps = try ProgramArrayMap(name: "steps", capacity: 8)
/// try steps.set(0, program.descriptor)
/// ```
///
/// A tail call to an empty index falls through. All programs of one array are of one type. The kernel empties the array
/// when the last descriptor and pin of it are gone, even while programs that use it are loaded: keep the handle, or pin
/// it.
///
/// A chain of programs cannot be replaced in one step; where that matters call a global function instead.
public struct ProgramArrayMap: ~Copyable, PlainKernelMap, DescriptorValuedMap {
  /// An index.
  public typealias Key = UInt32

  /// The map as bytes.
  public let raw: RawMap
  /// An array of descriptors.
  public static var shape: MapShape { .keyed(.programArray, UInt32.self, UInt32.self) }
  /// Takes over `raw` without a look at it.
  public init(unchecked raw: consuming RawMap) { self.raw = raw }
}
