import MartletModel
import MartletNetworking

/// One way to reach a service: who asks, at what address, and whom the pod should see.
struct DemoRequest {
  let path: String
  let from: DemoCluster.Host
  let address: IPAddress
  let port: UInt16
  /// The address that the answering pod should see, and what to call it.
  let expectedSource: IPAddress
  /// The names of the pods that may answer.
  let expectedBackends: Set<String>

  /// What came of it.
  struct Outcome {
    var backends: Set<String> = []
    var sources: Set<String> = []
    var failure: String?
  }

  /// Asks four times, on four connections.
  func perform(in cluster: DemoCluster) -> Outcome {
    var outcome = Outcome()
    let host = address.isIPv4 ? "\(address)" : "[\(address)]"
    for _ in 0..<4 {
      do {
        let answer = try cluster.run(
          [
            "curl", "--silent", "--show-error", "--globoff", "--noproxy", "*", "--max-time", "2",
            "http://\(host):\(port)/",
          ],
          on: from)
        let words = answer.split(whereSeparator: \.isWhitespace).map(String.init)
        guard words.count == 2 else { throw DemoFailure("answered: \(answer)") }
        outcome.backends.insert(words[0])
        outcome.sources.insert(words[1])
      } catch {
        outcome.failure = "\(error)"
        return outcome
      }
    }
    return outcome
  }

  /// Whether `outcome` is as it should be.
  func accepts(_ outcome: Outcome) -> Bool {
    outcome.failure == nil && outcome.sources == [expectedSource.description]
      && outcome.backends.isSubset(of: expectedBackends)
  }
}
