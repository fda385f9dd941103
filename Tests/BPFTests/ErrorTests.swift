import BPF
import Glibc
import Testing

@Suite struct ErrorTests {
  @Test(arguments: [
    (EEXIST, BPFError.Kind.exists), (ENOENT, .notFound), (E2BIG, .full), (EPERM, .permission), (EINVAL, .invalid),
    (EOPNOTSUPP, .unsupported), (524, .unsupported), (ESTALE, .stale), (EBUSY, .busy), (ENOMEM, .outOfMemory),
    (EIO, .system),
  ])
  func numberDecidesKind(number: Int32, kind: BPFError.Kind) {
    #expect(BPFError(errno: number, operation: "load", object: "x").kind == kind)
    #expect(BPFError(errno: -number, operation: "load", object: "x").errno == number)
  }

  @Test(arguments: [(EINVAL, "EINVAL"), (524, "ENOTSUPP"), (ESTALE, "ESTALE"), (9999, "errno 9999")])
  func numbersHaveNames(number: Int32, name: String) {
    #expect(BPFError(errno: number, operation: "load", object: "x").errnoName == name)
  }

  @Test func descriptionIsOneLineWithAllThatHelps() {
    var error = BPFError(errno: EBUSY, operation: "attach", object: "program a to xdp of eth0")
    error.hint = "held by program b (id 7)"
    #expect(
      error.description == "attach program a to xdp of eth0: busy (EBUSY); held by program b (id 7)")
  }

  @Test func newFeatureOnOldKernelIsNamed() {
    let future = KernelFeature("time travel", since: KernelVersion(99, 1))
    let error = BPFError(errno: EINVAL, operation: "attach", object: "x", feature: future)
    #expect(error.hint?.hasPrefix("time travel needs Linux 99.1, this is ") == true)
    let old = KernelFeature("maps", since: KernelVersion(3, 19))
    #expect(BPFError(errno: EINVAL, operation: "attach", object: "x", feature: old).hint == nil)
  }

  @Test(arguments: [
    ("6.18.44-fc-v595", KernelVersion(6, 18, 44)), ("6.1", KernelVersion(6, 1)), ("5.10.0+", KernelVersion(5, 10)),
  ])
  func kernelReleasesParse(release: String, version: KernelVersion) {
    #expect(KernelVersion(release: release) == version)
  }

  @Test func kernelVersionsOrder() {
    #expect(KernelVersion(5, 19) < KernelVersion(6, 0) && KernelVersion(6, 9) < KernelVersion(6, 10))
    #expect(KernelVersion(release: "linux") == nil)
    #expect(KernelVersion.running != nil)
  }
}
