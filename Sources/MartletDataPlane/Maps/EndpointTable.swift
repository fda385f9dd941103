import BPF
import CBPF
import MartletModel
import Netlink

/// Maps `endpoints` and `endpoint_interfaces`: the pods of this node, each in a slot that flows refer to, and which slot
/// an interface leads to.
final class EndpointTable {
  /// Where a pod is plugged in.
  struct Port: Hashable {
    var interface: InterfaceIndex
    var mtu: UInt32
  }

  private let map: any MapStorage<UInt32, endpoint>
  private let interfaceMap: any MapStorage<UInt32, UInt32>
  private let capacity: Int
  private(set) var slots: [NamespacedName: UInt32] = [:]
  private var ports: [UInt32: Port] = [:]
  /// Free slots, the longest unused first: a flow of a pod that is gone must not find another pod in its slot soon.
  private var free: [UInt32]

  /// Slots of `map`, an array of `capacity` entries; `interfaces` is as new.
  init(
    _ map: any MapStorage<UInt32, endpoint>, interfaces: any MapStorage<UInt32, UInt32>, capacity: Int
  ) {
    interfaceMap = interfaces
    // Slot 0 means "none".
    free = (1..<UInt32(capacity)).map(\.self)
    self.map = map
    self.capacity = capacity
  }

  /// Reads what a former agent has left; `assign(_:to:)` then finds a pod's slot again by its interface.
  func adopt() throws(BPFError) {
    for slot in free {
      if let entry = try map.get(slot), entry.ifindex != 0 {
        try enter(Port(interface: InterfaceIndex(entry.ifindex), mtu: entry.mtu), in: slot)
      }
    }
  }

  /// Gives `pod` a slot that leads to `port`, and keeps the one that it has.
  func assign(_ pod: NamespacedName, to port: Port) throws(BPFError) -> UInt32 {
    let slot = if let kept = slots[pod] ?? adopted(port) { kept } else { try unused(for: pod) }
    free.removeAll { $0 == slot }
    slots[pod] = slot
    if ports[slot] != port {
      try map.set(slot, endpoint(ifindex: port.interface.rawValue, mtu: port.mtu))
      try forgetInterface(of: slot)
      try enter(port, in: slot)
    }
    return slot
  }

  private func enter(_ port: Port, in slot: UInt32) throws(BPFError) {
    try interfaceMap.set(port.interface.rawValue, slot)
    ports[slot] = port
  }

  /// Unless the interface leads to another slot by now.
  private func forgetInterface(of slot: UInt32) throws(BPFError) {
    guard let interface = ports[slot]?.interface.rawValue, try interfaceMap.get(interface) == slot else { return }
    try interfaceMap.remove(interface)
  }

  private func adopted(_ port: Port) -> UInt32? {
    let taken = Set(slots.values)
    return ports.first { $0.value.interface == port.interface && !taken.contains($0.key) }?.key
  }

  private func unused(for pod: NamespacedName) throws(BPFError) -> UInt32 {
    guard let slot = free.first(where: { ports[$0] == nil }) ?? free.first else {
      throw BPFError(
        .full, operation: "plug in", object: "pod \(pod)",
        hint: "the node's \(capacity - 1) slots for pods are taken")
    }
    return slot
  }

  /// Frees the slots of pods that are not in `wanted`, and those that a former agent has left.
  func keep(only wanted: Set<NamespacedName>) throws(BPFError) {
    for (pod, slot) in slots where !wanted.contains(pod) {
      slots[pod] = nil
      free.append(slot)
    }
    let taken = Set(slots.values)
    for slot in ports.keys where !taken.contains(slot) {
      try map.set(slot, endpoint(ifindex: 0, mtu: 0))
      try forgetInterface(of: slot)
      ports[slot] = nil
    }
  }

  /// The interfaces of all pods.
  var interfaces: Set<InterfaceIndex> { interfaces(of: slots.values) }

  /// The interfaces of the pods in `slots`.
  func interfaces(of slots: some Sequence<UInt32>) -> Set<InterfaceIndex> {
    Set(slots.compactMap { ports[$0]?.interface })
  }
}
