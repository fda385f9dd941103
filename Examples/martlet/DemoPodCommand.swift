import ArgumentParser
import FlyingFox
import Foundation
import MartletNetworking

/// `martlet demo-pod`
struct DemoPodCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo-pod", abstract: "Tell every visitor, over HTTP, by what address one has seen them.",
    discussion: #"Prints "ready" once it listens. Answers are two words: its own name, and the visitor's address."#,
    shouldDisplay: false)

  @Option(help: "The name to sign answers with.") var name: String
  @Option(help: "The port to listen on, at every address of both families.") var port: UInt16

  func run() async throws {
    let server = HTTPServer(address: .inet6(port: port))
    let name = name
    await server.appendRoute("GET /") { request in
      HTTPResponse(statusCode: .ok, body: Data("\(name) \(Self.address(of: request))\n".utf8))
    }
    async let running: Void = server.run()
    try await server.waitUntilListening()
    print("ready")
    fflush(nil)
    try await running
  }

  private static func address(of request: HTTPRequest) -> String {
    switch request.remoteAddress {
    // An IPv4 visitor of an IPv6 socket has an address like ::ffff:192.0.2.1, which prints as IPv4.
    case .ip4(let address, _), .ip6(let address, _): IPAddress(address)?.description ?? address
    case .unix, nil: "unknown"
    }
  }
}
