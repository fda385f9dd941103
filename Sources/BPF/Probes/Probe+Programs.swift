import Glibc

extension Probe {
  /// Whether programs of `type` can be loaded. Whether they can be attached is another question.
  public static func programType(_ type: ProgramType) -> Probe {
    Probe(KernelFeature("\(type) programs", since: type.since)) {
      load(type, [.move(.r0, 0), .exit]) { log in log.isEmpty ? .unavailable : .available }
    }
  }

  /// Whether programs of `type` may call the helper with the kernel's number `helper` (`enum bpf_func_id`).
  ///
  /// - Parameters:
  ///   - name: the helper's name, for messages.
  ///   - since: the first version of Linux that allows it, for messages.
  public static func helper(
    _ helper: UInt32, name: String, in type: ProgramType, since: KernelVersion? = nil
  ) -> Probe {
    Probe(KernelFeature("\(name) in \(type) programs", since: since)) {
      load(type, [.call(helper: helper), .exit]) { log in
        // Other complaints are about the arguments, so the helper is there.
        let refusals = ["unknown func", "invalid func", "cannot use helper"]
        if refusals.contains(where: log.contains) { return .unavailable }
        return log.isEmpty ? .impossible("programs of type \(type) cannot be loaded") : .available
      }
    }
  }

  /// Programs that choose a listening socket.
  public static let socketLookup = Probe(.socketLookup) { programType(.socketLookup).attempt() }

  /// Programs at netfilter's hooks.
  public static let netfilter = Probe(.netfilter) { programType(.netfilter).attempt() }

  /// Timers in map values.
  public static let timer = Probe(.timer) {
    helper(UInt32(169), name: "bpf_timer_init", in: .schedClassifier).attempt()
  }

  /// `BPF_F_IPV6` of `bpf_l4_csum_replace`: without it checksums of IPv6 packets that the card has summed up go wrong.
  public static let checksumReplaceIPv6 = Probe(.checksumReplaceIPv6) {
    do throws(BPFError) {
      let program = try Program(
        type: .schedClassifier, name: "probe_csum_ipv6", instructions: replaceChecksumWithIPv6Flag)
      let verdict = try program.testRun([UInt8](repeating: 0, count: 64)).returnValue
      return Int32(bitPattern: verdict) == -EINVAL ? .unavailable : .available
    } catch {
      return .inconclusive(error)
    }
  }

  /// `return bpf_l4_csum_replace(skb, 24, 0, 0, BPF_F_PSEUDO_HDR | BPF_F_IPV6)`.
  private static let replaceChecksumWithIPv6Flag: [Instruction] = [
    .move(.r2, 24), .move(.r3, 0), .move(.r4, 0), .move(.r5, 1 << 4 | 1 << 7), .call(helper: 11), .exit,
  ]

  /// Loads a program and, if it is refused, lets `judge` read what the verifier said: nothing if the type is unknown.
  private static func load(
    _ type: ProgramType, _ instructions: [Instruction], judge: (String) -> Outcome
  ) -> Outcome {
    do throws(BPFError) {
      _ = try Program(
        type: type, name: "probe", instructions: instructions, expectedAttachType: type.someAttachType)
      return .available
    } catch {
      guard error.errno != EPERM else { return .inconclusive(error) }
      guard error.errno == EINVAL || error.kind == .rejected else { return .inconclusive(error) }
      return judge(error.log?.text ?? "")
    }
  }
}
