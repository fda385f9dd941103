import MartletModel
import MartletPolicy

/// A packet that is sent again and again.
struct StormQuestion: Sendable, CustomStringConvertible {
  let packet: PolicyPacket
  /// The pod that sends it; `nil`: it comes from outside.
  let sender: NamespacedName?
  /// The pod that it is for; `nil`: the node itself.
  let receiver: NamespacedName?

  var description: String { "\(packet)" }
}
