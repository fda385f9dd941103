import BPF

/// The plugin adds each `Programs/*.bpf.c`, compiled, as a member.
enum BPFPrograms {}

let object = try OpenObject(hexadecimal: BPFPrograms.sizes, name: "sizes").load()
let sizes = try PerCPUArrayMap<UInt64>(object.mapDescriptor(named: "sizes"))
let program = try object.program(named: "count_sizes")

// As packets would, had it been attached: `program.attach(to: .tcx(.ingress, interface: index))`.
for size in [60, 100, 1_500] {
  _ = try program.testRun([UInt8](repeating: 0, count: size), context: SocketBufferContext())
}
for (power, count) in try (0..<17).map({ ($0, try sizes.get(UInt32($0))?.sum ?? 0) }) where count > 0 {
  print("to \(1 << power) bytes: \(count)")
}
