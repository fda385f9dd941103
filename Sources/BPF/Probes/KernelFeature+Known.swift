extension KernelFeature {
  /// Attachments of cgroup programs as links.
  public static let cgroupLink = KernelFeature("cgroup links", since: KernelVersion(5, 7))
  /// Attachments of XDP programs as links.
  public static let xdpLink = KernelFeature("XDP links", since: KernelVersion(5, 9))
  /// Programs that choose a listening socket.
  public static let socketLookup = KernelFeature("sk_lookup programs", since: KernelVersion(5, 9))
  /// Timers in map values.
  public static let timer = KernelFeature("bpf_timer", since: KernelVersion(5, 15))
  /// Programs at netfilter's hooks.
  public static let netfilter = KernelFeature("netfilter programs", since: KernelVersion(6, 4))
  /// Ordered lists of programs at traffic control.
  public static let tcx = KernelFeature("tcx", since: KernelVersion(6, 6))
  /// Pairs of devices made for BPF.
  public static let netkit = KernelFeature("netkit", since: KernelVersion(6, 7))
  /// Memory shared between programs and user space.
  public static let arena = KernelFeature("arena maps", since: KernelVersion(6, 9))
  /// `BPF_F_IPV6` of `bpf_l4_csum_replace`.
  public static let checksumReplaceIPv6 = KernelFeature(
    "BPF_F_IPV6 of bpf_l4_csum_replace", since: KernelVersion(6, 16))
}
