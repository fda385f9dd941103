import CBPF
import Glibc

/// `BPF_OBJ_GET_INFO_BY_FD` for the kernel's info struct `Info`.
///
/// - Parameter info: zeroed, or with the pointers that the kernel is to fill.
func readObjectInfo<Info>(
  of descriptor: borrowing FileDescriptor, into info: inout Info, object: String
) throws(BPFError) {
  var size = UInt32(MemoryLayout<Info>.size)
  let number = descriptor.rawValue
  // SAFETY: the kernel writes at most `size` bytes, the size of `Info`.
  let error = withUnsafeMutablePointer(to: &info) { bpf_obj_get_info_by_fd(number, $0, &size) }
  guard error == 0 else { throw BPFError(errno: error, operation: "read info of", object: object) }
}

/// The text of a fixed C array of characters that ends at its first zero.
func text<CharacterArray: BitwiseCopyable>(_ characters: CharacterArray) -> String {
  withUnsafeBytes(of: characters) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}
