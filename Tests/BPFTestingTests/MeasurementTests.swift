import BPFTesting
import Glibc
import Testing

@Suite struct PercentilesTests {
  @Test func percentilesOfAHundred() {
    let samples = Percentiles((0...100).shuffled().map(Double.init))
    #expect(samples.p50 == 50)
    #expect(samples.p90 == 90)
    #expect(samples.p99 == 99)
    #expect(samples(0) == 0)
    #expect(samples(100) == 100)
  }

  @Test func oneSampleIsEveryPercentile() {
    #expect(Percentiles([7]).p99 == 7)
  }

  @Test func evenCountTakesTheMiddle() {
    #expect(Percentiles([4, 1, 3, 2]).p50 == 2.5)
  }

  @Test func pairsCancelWhatTheyShare() {
    // The machine was ten times slower for half of the pairs.
    let pairs = [(2.0, 1.0), (20.0, 10.0), (2.0, 1.0), (20.0, 10.0)]
    #expect(Percentiles.medianRatio(pairs) == 2)
    #expect(Percentiles([2, 4]).ratioOfMedians(to: Percentiles([1, 2])) == 2)
  }
}

@Suite struct DescriptorSnapshotTests {
  @Test func leakIsNamedAndClosingIsNone() throws {
    let before = try DescriptorSnapshot()
    let leak = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    let found = try before.opened().first { $0.number == leak }
    #expect(found?.description.hasPrefix("\(leak): socket:[") == true)
    close(leak)
    #expect(try !before.opened().contains { $0 == found })
  }

  @Test(.requiresBPF) func fileOfBPFFilesystemIsWatched() throws {
    let bpffs = try TemporaryBPFFilesystem()
    let before = try DescriptorSnapshot()
    let folder = open(bpffs.path, O_RDONLY | O_CLOEXEC)
    defer { close(folder) }
    #expect(try before.opened().contains { $0.number == folder && $0.target == bpffs.path })
  }
}
