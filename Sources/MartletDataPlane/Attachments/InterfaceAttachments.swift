import BPF
import Netlink

/// The datapath's programs on the node's interfaces, each held by a pinned link.
///
/// A link outlives the agent, so there is no moment without a program: a new agent opens the pinned link and puts its own
/// program in place of the former's in one step.
final class InterfaceAttachments {
  /// What an interface leads to; decides which programs it gets.
  enum Role: String, Hashable {
    case pod
    case net
    case tunnel
    /// The loopback interface: what the host sends to itself.
    case host

    /// What each direction runs. What goes into the tunnel has been decided on before, and so has what comes out of
    /// the loopback interface.
    var programs: [(name: String, direction: TrafficDirection)] {
      let ingress = ("from_\(rawValue)", TrafficDirection.ingress)
      let egress = ("to_\(rawValue)", TrafficDirection.egress)
      return switch self {
      case .pod, .net: [ingress, egress]
      case .tunnel: [ingress]
      case .host: [egress]
      }
    }
  }

  private let programs: DatapathPrograms
  private let pins: PinFolder
  private(set) var roles: [InterfaceIndex: Role] = [:]
  /// NICs that have been asked to run the program ahead of the kernel's buffers.
  private var wired: Set<InterfaceIndex> = []

  init(programs: DatapathPrograms, pins: PinFolder) {
    self.programs = programs
    self.pins = pins
  }

  /// Attaches the programs of `role`, unless they are.
  func attach(_ role: Role, to interface: InterfaceIndex) throws(BPFError) {
    guard roles[interface] != role else { return }
    if let former = roles[interface] { detach(former, from: interface) }
    for program in role.programs {
      try attach(program.name, .tcx(program.direction, interface: interface.rawValue), interface)
      try checkOrder(program.name, .tcx(program.direction, interface: interface.rawValue))
    }
    roles[interface] = role
  }

  /// Another data plane's program of the same name that runs first decides, and none of ours is asked.
  private func checkOrder(_ name: String, _ hook: Hook) throws(BPFError) {
    let own = try programs.program(name).program.info.id
    for other in try hook.attached().programs.prefix(while: { $0.programID != own }) {
      guard let program = try? Program(id: other.programID), program.name == name else { continue }
      throw BPFError(
        .busy, operation: "attach", object: name,
        hint: """
          another data plane's runs before it (program \(other.programID)\(other.linkID.map { ", link \($0)" } ?? "")) and \
          decides: start with the --pin-root of that one, or remove it by martlet clean --pin-root
          """)
    }
  }

  private func attach(_ name: String, _ place: AttachTarget, _ interface: InterfaceIndex) throws(BPFError) {
    let path = pins.link(name, on: interface)
    let program = try programs.program(name)
    if takeOver(path, program, interface) { return }
    let link = try program.program.attach(to: place)
    try link.pin(at: path)
  }

  /// Attaches ``WireProgram`` to `interfaces`, and to no others. One that does not take it is not asked again.
  ///
  /// Throws what the first that did not take it said.
  func attachWire(to interfaces: Set<InterfaceIndex>) throws(BPFError) {
    for interface in wired.subtracting(interfaces) { remove(pins.link(WireProgram.name, on: interface)) }
    let new = interfaces.subtracting(wired)
    wired = interfaces
    var failure: BPFError?
    for interface in new.sorted() {
      do throws(BPFError) {
        try attach(WireProgram.name, .xdp(interface: interface.rawValue), interface)
      } catch {
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
  }

  /// Whether there was a link of a former agent on that very interface. An index may have been given to another one.
  private func takeOver(_ path: String, _ program: LoadedProgram, _ interface: InterfaceIndex) -> Bool {
    guard let link = try? Link(pinnedAt: path) else { return false }
    if let info = try? link.info, info.interface == interface.rawValue,
      (try? link.update(to: program.program)) != nil
    {
      return true
    }
    try? BPFFileSystem.unpin(path)
    return false
  }

  /// Takes the programs away; also right after the interface itself is gone.
  func detach(from interface: InterfaceIndex) {
    guard let role = roles.removeValue(forKey: interface) else { return }
    detach(role, from: interface)
  }

  private func detach(_ role: Role, from interface: InterfaceIndex) {
    for program in role.programs { remove(pins.link(program.name, on: interface)) }
    if wired.remove(interface) != nil { remove(pins.link(WireProgram.name, on: interface)) }
  }

  /// Removes what a former agent has attached and this one has not.
  func removeStale() {
    for name in pins.entries(of: pins.links) {
      guard let interface = PinFolder.interface(ofLink: name) else { continue }
      var wanted = roles[interface]?.programs.map { pins.link($0.name, on: interface) } ?? []
      if wired.contains(interface) { wanted.append(pins.link(WireProgram.name, on: interface)) }
      let path = "\(pins.links)/\(name)"
      if !wanted.contains(path) { remove(path) }
    }
  }

  private func remove(_ path: String) {
    if let link = try? Link(pinnedAt: path) { try? link.detach() }
    try? BPFFileSystem.unpin(path)
  }
}
