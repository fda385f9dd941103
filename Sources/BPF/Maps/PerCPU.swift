import CBPF

/// The values that one key of a per-CPU map holds: one for each possible processor.
///
/// ```swift
/// let drops = try counters.get(COUNTER_DROP_TTL) // PerCPU<counter_value>?
/// let packets = drops?.sum { $0.packets } ?? 0
/// ```
///
/// The values lie in one buffer, each on a multiple of eight bytes, just as the kernel copies them; nothing is
/// converted. The processors are the *possible* ones, those that may yet be plugged in among them, not those online:
/// ``possibleCPUs`` of them.
///
/// Cost: one allocation for a look-up; `sum` and the subscript are loads.
public struct PerCPU<Value: BitwiseCopyable> {
  // Words, so that the buffer has the alignment that the kernel's per-CPU areas have.
  @usableFromInline var words: [UInt64]
  /// The number of processors.
  public let count: Int

  /// Bytes from one processor's value to the next.
  @inlinable
  static var stride: Int { PerCPULayout.stride(valueSize: MemoryLayout<Value>.size) }

  /// `value` on each processor.
  ///
  /// - Parameter count: the number of processors; a kernel map takes only ``possibleCPUs``.
  public init(repeating value: Value, count: Int = PerCPU.possibleCPUs) {
    self.count = count
    words = [UInt64](repeating: 0, count: count * Self.stride / 8)
    for cpu in 0..<count { self[cpu] = value }
  }

  /// `values`, the first of them for processor 0.
  public init(_ values: [Value]) {
    count = values.count
    words = [UInt64](repeating: 0, count: values.count * Self.stride / 8)
    for (cpu, value) in values.enumerated() { self[cpu] = value }
  }

  /// What `fill` writes into a zeroed buffer of `possibleCPUs` values.
  @inlinable
  init?(_ fill: (UnsafeMutableRawPointer) throws(BPFError) -> Bool) throws(BPFError) {
    count = Self.possibleCPUs
    words = [UInt64](repeating: 0, count: count * Self.stride / 8)
    let found = try words.withUnsafeMutableBufferPointer { (buffer) throws(BPFError) in
      guard let base = buffer.baseAddress else { return false }
      return try fill(UnsafeMutableRawPointer(base))
    }
    if !found { return nil }
  }

  /// The number of processors that the kernel may ever run on; every per-CPU map has that many values under a key.
  ///
  /// The corresponding C function is `libbpf_num_possible_cpus`.
  public static var possibleCPUs: Int { PerCPULayout.possibleCPUs }

  /// The value of one processor. Precondition: `cpu` is within `0..<count`.
  @inlinable
  public subscript(cpu: Int) -> Value {
    get {
      precondition(cpu >= 0 && cpu < count, "processor \(cpu) of \(count)")
      return words.withUnsafeBytes {
        // SAFETY: the buffer holds `count` strides and `Value` is no longer than one; any bytes are a valid `Value`.
        $0.loadUnaligned(fromByteOffset: cpu * Self.stride, as: Value.self)
      }
    }
    set {
      precondition(cpu >= 0 && cpu < count, "processor \(cpu) of \(count)")
      words.withUnsafeMutableBytes { $0.storeBytes(of: newValue, toByteOffset: cpu * Self.stride, as: Value.self) }
    }
  }

  /// The values by processor.
  @inlinable
  public var values: [Value] { (0..<count).map { self[$0] } }

  /// Combines the values of all processors, from processor 0 on.
  @inlinable
  public func reduce<Result, Failure: Error>(
    _ initial: Result, _ combine: (Result, Value) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    var result = initial
    for cpu in 0..<count { result = try combine(result, self[cpu]) }
    return result
  }

  /// The sum of one number of each value. Wraps around as the kernel's counters do.
  @inlinable
  public func sum<Number: FixedWidthInteger>(_ number: (Value) -> Number) -> Number {
    reduce(0) { $0 &+ number($1) }
  }
}

extension PerCPU where Value: FixedWidthInteger {
  /// The sum over all processors. Wraps around as the kernel's counters do.
  @inlinable
  public var sum: Value { sum { $0 } }
}

extension PerCPU: Sendable where Value: Sendable {}

extension PerCPU: Equatable where Value: Equatable {
  /// Whether all processors hold equal values.
  public static func == (left: PerCPU, right: PerCPU) -> Bool { left.values == right.values }
}

/// How the kernel lays the values of the processors out, for buffers whose type is not known.
@usableFromInline
enum PerCPULayout {
  /// Bytes from one value to the next: the kernel rounds up to eight.
  @inlinable
  static func stride(valueSize: Int) -> Int { (valueSize + 7) & ~7 }

  // Read once: the number cannot change while the kernel runs.
  @usableFromInline static let possibleCPUs: Int = {
    let count = Int(libbpf_num_possible_cpus())
    precondition(count > 0, "/sys/devices/system/cpu/possible cannot be read: mount sysfs")
    return count
  }()
}

extension PerCPU {
  /// Refuses values of another number of processors than the kernel's: it would read beyond the buffer.
  @inlinable
  func checkProcessors(operation: String, object: String) throws(BPFError) {
    guard count == Self.possibleCPUs else {
      throw BPFError(
        .invalid, operation: operation, object: object,
        hint: "\(count) values given; this kernel has \(Self.possibleCPUs) possible processors")
    }
  }
}
