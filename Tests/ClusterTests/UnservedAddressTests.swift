import BPFTesting
import MartletNetworking
import Testing

/// Packets to addresses in the services' ranges that no service serves.
@Suite(.requiresBPF, .cluster, .serialized) struct UnservedAddressTests {
  let cluster: Cluster

  init() throws { cluster = try Cluster.current }

  @Test(arguments: AddressFamily.allCases) func unallocatedClusterIPIsDropped(_ family: AddressFamily) throws {
    try cluster.apply(services: [.clusterIP], slices: [.init(["p21"])])
    try cluster.route(DualAddress.unallocated[family], via: 1)
    for client in [cluster.pod(1, 2), cluster.node(1), cluster.client] {
      #expect(try client.ask(.unallocated, 80, .packets(family)).outcome == .dropped, "\(client.name)")
    }
  }

  @Test(arguments: Access.all) func undefinedPortOfAClusterIPIsRefused(_ access: Access) throws {
    try cluster.apply(services: [.clusterIP], slices: [.init(["p21"])])
    for client in [cluster.pod(1, 2), cluster.node(1)] {
      #expect(try client.ask(.web, 81, access).outcome == .refused, "\(client.name)")
      #expect(try client.ask(.web, 80, access, .udp).outcome == .refused, "\(client.name)")
    }
  }

  @Test(arguments: AddressFamily.allCases) func pingToAServiceAddressIsNeitherAnsweredNorLooped(
    _ family: AddressFamily
  ) throws {
    let service = ServiceManifest.loadBalancer.with {
      $0.spec = ["externalIPs": .list(DualAddress.external.both.map { "\($0)" })]
    }
    try cluster.apply(services: [service], slices: [.init(["p21"])])
    let client = cluster.client.host
    let wire = try PacketSocket(client.interface)
    let request = ICMPMessage.echoRequest(identifier: 7, sequence: 1)
    for address in [DualAddress.web[family], DualAddress.unallocated[family]] {
      let ping = PacketBuilder()
        .ethernet(from: client.interface.mac, to: cluster.node(1).host.interface.mac)
        .ip(from: client.address(family), to: address).icmp(request).payload(count: 32)
      try wire.send(ping.bytes)
      // Neither an answer, nor an error, nor the request itself on its way round.
      let packet = try wire.receive(timeout: .milliseconds(300)) { packet in
        packet.ip?.source == address || packet.icmp == request || packet.icmp?.isError == true
      }
      #expect(packet == nil, "\(address)")
    }
  }
}
