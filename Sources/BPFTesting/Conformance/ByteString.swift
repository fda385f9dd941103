/// The bytes of a key or value: how the kernel compares them, and how failures print them.
struct ByteString: Hashable, CustomStringConvertible {
  let bytes: [UInt8]

  init<Value: BitwiseCopyable>(_ value: Value) { bytes = withUnsafeBytes(of: value) { Array($0) } }

  var description: String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
