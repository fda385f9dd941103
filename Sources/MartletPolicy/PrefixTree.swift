import MartletNetworking

/// Values at prefixes, ordered by which contains which: a binary tree in which nodes with one child are left out.
struct PrefixTree<Value> {
  private struct Node {
    var address: UInt128
    var length: Int
    var value: Value?
    var children: (Int32, Int32) = (-1, -1)
  }

  private var nodes: [Node] = []
  private var free: [Int32] = []
  private var roots: (ipv4: Int32, ipv6: Int32) = (-1, -1)
  /// Prefixes with a value.
  private(set) var count = 0

  init() {}

  /// The value at `prefix` itself.
  subscript(prefix: IPPrefix) -> Value? {
    get {
      let found = find(prefix)
      return found.map { nodes[Int($0)].value } ?? nil
    }
    set {
      if let newValue {
        let node = insert(prefix)
        if nodes[Int(node)].value == nil { count += 1 }
        nodes[Int(node)].value = newValue
      } else {
        remove(prefix)
      }
    }
  }

  /// Calls `body` for each value at a prefix that contains `prefix`, `prefix` itself left out, the widest first.
  func forEachContaining(_ prefix: IPPrefix, _ body: (Value) -> Void) {
    var node = prefix.family == .ipv4 ? roots.ipv4 : roots.ipv6
    while node >= 0, nodes[Int(node)].length < prefix.mappedLength, covers(node, prefix) {
      if let value = nodes[Int(node)].value { body(value) }
      node = child(node, bit(prefix.address.bits, nodes[Int(node)].length))
    }
  }

  /// The prefixes within `prefix`, itself included, each after those that contain it.
  func prefixes(within prefix: IPPrefix) -> [IPPrefix] {
    var node = prefix.family == .ipv4 ? roots.ipv4 : roots.ipv6
    while node >= 0, nodes[Int(node)].length < prefix.mappedLength {
      guard covers(node, prefix) else { return [] }
      node = child(node, bit(prefix.address.bits, nodes[Int(node)].length))
    }
    guard node >= 0, Self.common(nodes[Int(node)].address, prefix.address.bits) >= prefix.mappedLength else {
      return []
    }
    var (result, pending): ([IPPrefix], [Int32]) = ([], [node])
    while let next = pending.popLast() {
      let node = nodes[Int(next)]
      if node.value != nil { result.append(self.prefix(node, prefix.family)) }
      if node.children.1 >= 0 { pending.append(node.children.1) }
      if node.children.0 >= 0 { pending.append(node.children.0) }
    }
    return result
  }

  // MARK: - Nodes

  private func prefix(_ node: Node, _ family: AddressFamily) -> IPPrefix {
    IPPrefix(IPAddress(bits: node.address), length: node.length - 128 + family.bitWidth)
  }

  private func bit(_ address: UInt128, _ index: Int) -> Bool { (address >> (127 - index)) & 1 == 1 }

  private func child(_ node: Int32, _ right: Bool) -> Int32 {
    right ? nodes[Int(node)].children.1 : nodes[Int(node)].children.0
  }

  /// The first bits that two addresses share.
  private static func common(_ left: UInt128, _ right: UInt128) -> Int { (left ^ right).leadingZeroBitCount }

  private func covers(_ node: Int32, _ prefix: IPPrefix) -> Bool {
    let node = nodes[Int(node)]
    return node.length <= prefix.mappedLength && Self.common(node.address, prefix.address.bits) >= node.length
  }

  private func find(_ prefix: IPPrefix) -> Int32? {
    var node = prefix.family == .ipv4 ? roots.ipv4 : roots.ipv6
    while node >= 0, covers(node, prefix) {
      if nodes[Int(node)].length == prefix.mappedLength { return node }
      node = child(node, bit(prefix.address.bits, nodes[Int(node)].length))
    }
    return nil
  }

  private mutating func make(_ address: UInt128, _ length: Int) -> Int32 {
    let node = Node(address: length == 0 ? 0 : (address >> (128 - length)) << (128 - length), length: length)
    if let number = free.popLast() {
      nodes[Int(number)] = node
      return number
    }
    nodes.append(node)
    return Int32(nodes.count - 1)
  }

  private mutating func insert(_ prefix: IPPrefix) -> Int32 {
    let (bits, length) = (prefix.address.bits, prefix.mappedLength)
    var parent: Int32 = -1
    var node = prefix.family == .ipv4 ? roots.ipv4 : roots.ipv6
    while node >= 0, covers(node, prefix) {
      if nodes[Int(node)].length == length { return node }
      parent = node
      node = child(node, bit(bits, nodes[Int(node)].length))
    }
    let new = make(bits, length)
    guard node >= 0 else {
      link(parent, new, prefix.family)
      return new
    }
    let shared = min(Self.common(nodes[Int(node)].address, bits), length)
    if shared == length {
      setChild(new, node)
      link(parent, new, prefix.family)
    } else {
      let fork = make(bits, shared)
      setChild(fork, node)
      setChild(fork, new)
      link(parent, fork, prefix.family)
    }
    return new
  }

  private mutating func setChild(_ parent: Int32, _ node: Int32) {
    if bit(nodes[Int(node)].address, nodes[Int(parent)].length) {
      nodes[Int(parent)].children.1 = node
    } else {
      nodes[Int(parent)].children.0 = node
    }
  }

  private mutating func link(_ parent: Int32, _ node: Int32, _ family: AddressFamily) {
    if parent >= 0 {
      setChild(parent, node)
    } else if family == .ipv4 {
      roots.ipv4 = node
    } else {
      roots.ipv6 = node
    }
  }

  private mutating func remove(_ prefix: IPPrefix) {
    var path: [Int32] = []
    var node = prefix.family == .ipv4 ? roots.ipv4 : roots.ipv6
    while node >= 0, covers(node, prefix) {
      path.append(node)
      if nodes[Int(node)].length == prefix.mappedLength { break }
      node = child(node, bit(prefix.address.bits, nodes[Int(node)].length))
    }
    guard let last = path.last, nodes[Int(last)].length == prefix.mappedLength, nodes[Int(last)].value != nil else {
      return
    }
    nodes[Int(last)].value = nil
    count -= 1
    collapse(path, prefix.family)
  }

  /// Takes out nodes at the end of `path` that neither have a value nor part two others.
  private mutating func collapse(_ path: [Int32], _ family: AddressFamily) {
    var path = path
    while let last = path.popLast(), nodes[Int(last)].value == nil {
      let children = nodes[Int(last)].children
      guard children.0 < 0 || children.1 < 0 else { return }
      replace(last, by: max(children.0, children.1), below: path.last ?? -1, family)
      free.append(last)
      guard children.0 < 0 && children.1 < 0 else { return }
    }
  }

  private mutating func replace(_ node: Int32, by child: Int32, below parent: Int32, _ family: AddressFamily) {
    guard parent >= 0 else { return link(-1, child, family) }
    if nodes[Int(parent)].children.0 == node {
      nodes[Int(parent)].children.0 = child
    } else {
      nodes[Int(parent)].children.1 = child
    }
  }
}
