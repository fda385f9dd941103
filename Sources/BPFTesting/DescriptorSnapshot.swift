import BPF
import CBPFTesting

/// An open descriptor of the process of a kind that BPF code leaks: of BPF, a socket, or a namespace.
public struct OpenDescriptor: Hashable, Sendable, CustomStringConvertible {
  /// Its number.
  public let number: Int32
  /// What it refers to: `anon_inode:bpf-map`, `socket:[4711]`, a path.
  public let target: String
  /// What the kernel tells of a BPF object, such as `map_id 12, map_type 2`; empty for others.
  public let details: String

  /// `7: anon_inode:bpf-map (map_type 2, map_id 12)`.
  public var description: String { "\(number): \(target)" + (details.isEmpty ? "" : " (\(details))") }
}

/// The descriptors that were open at a moment, to find out at the end which were not closed.
///
/// ```swift
/// let before = try DescriptorSnapshot()
/// try await body()
/// #expect(try before.opened() == [])
/// ```
///
/// Descriptors belong to the process: whatever runs at the same time opens and closes too. Use it where nothing does: in
/// a process of its own (`#expect(processExitsWith:)`), or with `--no-parallel`.
public struct DescriptorSnapshot: Sendable {
  /// The descriptors that were open, of the kinds that ``OpenDescriptor`` tells.
  public let open: Set<OpenDescriptor>

  /// The descriptors that are open now.
  public init() throws(BPFError) {
    var open: Set<OpenDescriptor> = []
    for name in try Directory.entries("/proc/self/fd") {
      // One that is closed meanwhile, such as that of the listing, is not open.
      guard let number = Int32(name), let target = try? Directory.target(ofLink: "/proc/self/fd/\(name)"),
        Self.isWatched(number, target)
      else { continue }
      open.insert(OpenDescriptor(number: number, target: target, details: Self.details(number)))
    }
    self.open = open
  }

  /// The descriptors that are open now and were not then, by number.
  public func opened() throws(BPFError) -> [OpenDescriptor] {
    try DescriptorSnapshot().open.subtracting(open).sorted { $0.number < $1.number }
  }

  private static func isWatched(_ number: Int32, _ target: String) -> Bool {
    let kinds = ["anon_inode:bpf", "anon_inode:btf", "socket:", "net:"]
    return kinds.contains { target.hasPrefix($0) } || bpftest_is_on_bpffs(number) == 1
  }

  /// The lines of fdinfo that identify a BPF object.
  private static func details(_ number: Int32) -> String {
    let keys = ["map_type", "map_id", "prog_type", "prog_id", "prog_tag", "link_type", "link_id", "btf_id"]
    let lines = (try? TextFile.read("/proc/self/fdinfo/\(number)"))?.split(separator: "\n") ?? []
    return lines.compactMap { line in
      let words = line.split(whereSeparator: { $0 == ":" || $0 == "\t" })
      guard words.count == 2, keys.contains(String(words[0])) else { return nil }
      return "\(words[0]) \(words[1])"
    }.joined(separator: ", ")
  }
}
