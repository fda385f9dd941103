import BPFTesting
import Glibc
import Testing

@Suite(.requiresBPF) struct TemporaryKernelObjectTests {
  @Test func bpffsIsMountedAndGoes() throws {
    var bpffs: TemporaryBPFFilesystem? = try TemporaryBPFFilesystem()
    let path = try #require(bpffs?.path)
    #expect(try Command(["stat", "-f", "-c", "%T", path]).output() == "bpf_fs\n")
    #expect(mkdir(path + "/maps", 0o700) == 0)
    bpffs = nil
    #expect(access(path, F_OK) != 0)
  }

  @Test func twoInstancesShareNothing() throws {
    let (one, other) = (try TemporaryBPFFilesystem(), try TemporaryBPFFilesystem())
    #expect(mkdir(one.path + "/maps", 0o700) == 0)
    #expect(access(other.path + "/maps", F_OK) != 0)
  }

  @Test func threadsAndTheirChildrenAreInTheCgroupAndItGoes() throws {
    var cgroup: TemporaryCgroup? = try TemporaryCgroup()
    let path = try #require(cgroup?.path)
    let inside = try cgroup?.run { try Command(["cat", "/proc/self/cgroup"]).output() }
    let name = try #require(path.split(separator: "/").last)
    #expect(inside?.contains(name) == true)
    #expect(try !Command(["cat", "/proc/self/cgroup"]).output().contains(name))
    cgroup = nil
    #expect(access(path, F_OK) != 0)
  }

  @Test func missingParentIsNamed() throws {
    let error = try #require(throws: (any Error).self) { try TemporaryCgroup(parent: "/nowhere") }
    #expect("\(error)".contains("/nowhere"))
  }
}
