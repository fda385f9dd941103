import CBPF
import Glibc

/// The kinds of kernel objects that bpf(2) hands out descriptors of.
enum ObjectKind: String, CaseIterable {
  case program
  case map
  case link

  /// The names of the kernel's anonymous inodes; links have one when they are created and another when opened again.
  private var inodeNames: [String] {
    switch self {
    case .program: ["bpf-prog"]
    case .map: ["bpf-map"]
    case .link: ["bpf_link", "bpf-link"]
    }
  }

  /// Throws if `descriptor` is known to be of another kind: the kernel would fill in the other kind's info struct.
  func check(_ descriptor: borrowing FileDescriptor) throws(BPFError) {
    guard let name = Self.inodeName(descriptor.rawValue) else { return }
    guard !inodeNames.contains(name) else { return }
    let other = Self.allCases.first { $0.inodeNames.contains(name) }
    throw BPFError(
      .invalid, operation: "read info of", object: rawValue,
      hint: "the descriptor is of \(other.map { "a \($0.rawValue)" } ?? name), not of a \(rawValue)")
  }

  /// `bpf-prog` of `anon_inode:bpf-prog`; `nil` without procfs.
  private static func inodeName(_ descriptor: Int32) -> String? {
    var target = [UInt8](repeating: 0, count: 256)
    let length = target.withUnsafeMutableBufferPointer { buffer in
      // SAFETY: `readlink` writes at most as many bytes as the buffer has.
      buffer.withMemoryRebound(to: CChar.self) { characters in
        characters.baseAddress.map { readlink("/proc/self/fd/\(descriptor)", $0, characters.count) } ?? -1
      }
    }
    guard length > 0 else { return nil }
    let text = String(decoding: target.prefix(length), as: UTF8.self)
    return text.hasPrefix("anon_inode:") ? String(text.dropFirst("anon_inode:".count)) : text
  }
}

/// `BPF_OBJ_GET_INFO_BY_FD` for the kernel's info struct `Info` of objects of `kind`.
///
/// - Parameter info: zeroed, or with the pointers that the kernel is to fill.
func readObjectInfo<Info>(
  of descriptor: borrowing FileDescriptor, into info: inout Info, kind: ObjectKind
) throws(BPFError) {
  try kind.check(descriptor)
  var size = UInt32(MemoryLayout<Info>.size)
  let number = descriptor.rawValue
  // SAFETY: the kernel writes at most `size` bytes, the size of `Info`.
  let error = withUnsafeMutablePointer(to: &info) { bpf_obj_get_info_by_fd(number, $0, &size) }
  guard error == 0 else { throw BPFError(errno: error, operation: "read info of", object: kind.rawValue) }
}

/// The text of a fixed C array of characters that ends at its first zero.
func text<CharacterArray: BitwiseCopyable>(_ characters: CharacterArray) -> String {
  withUnsafeBytes(of: characters) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}
