import BPF

let visits = try HashMap<UInt16, UInt64>(name: "visits", capacity: 1024)
try visits.set(443, 7)
try visits.pin(at: "/sys/fs/bpf/visits")

let same = try HashMap<UInt16, UInt64>(pinned: "/sys/fs/bpf/visits")
print("port 443: \(try same.get(443) ?? 0) visits")
print("port 80: \(try same.get(80).map(String.init) ?? "none")")
try BPFFileSystem.unpin("/sys/fs/bpf/visits")
