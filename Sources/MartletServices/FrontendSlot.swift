import CBPF
import MartletModel

/// One address and port: who claims it, and what the kernel's table says about it.
struct FrontendSlot {
  /// A service port that answers here, if nobody comes before it.
  struct Claim: Equatable, Comparable {
    let kind: FrontendClass
    let port: ServicePortName
    let id: UInt32

    static func < (left: Claim, right: Claim) -> Bool {
      (left.kind, left.port) < (right.kind, right.port)
    }
  }

  /// Best first: by class, then by name. Two, where two services claim the same; all are kept, so that whoever remains
  /// has it.
  private(set) var claims: [Claim] = []
  /// What the kernel's table holds.
  var installed: frontend?

  /// Who has the frontend.
  var winner: Claim? { claims.first }

  var isEmpty: Bool { claims.isEmpty && installed == nil }

  mutating func add(_ claim: Claim) {
    let index = claims.firstIndex { claim < $0 } ?? claims.endIndex
    claims.insert(claim, at: index)
  }

  mutating func removeClaim(of id: UInt32) {
    claims.removeAll { $0.id == id }
  }
}

extension frontend {
  /// Whether the two are the same in the kernel's eyes.
  func isIdentical(to other: frontend) -> Bool {
    // SAFETY: the layout has no padding, so all bytes are initialised.
    withUnsafeBytes(of: self) { left in withUnsafeBytes(of: other) { left.elementsEqual($0) } }
  }
}
