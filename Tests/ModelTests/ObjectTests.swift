import MartletModel
import MartletNetworking
import Testing

private let web = NamespacedName(namespace: "default", name: "web")
private let ipv4 = IPAddress(192, 168, 50, 11)
private let ipv6 = IPAddress(high: 0xfd50 << 48, low: 0x11)

struct NodeTests {
  private let node = Node(
    name: "n1",
    addresses: [
      .init(IPAddress(203, 0, 113, 1), kind: .external), .init(ipv4), .init(IPAddress(10, 0, 0, 1)), .init(ipv6),
    ],
    labels: [Node.zoneLabel: "a"])

  @Test func `other nodes use the first internal address of a family`() {
    #expect(node.address(.ipv4) == ipv4)
    #expect(node.address(.ipv6) == ipv6)
    #expect(node.zone == "a")
  }

  @Test func `an external address is better than none`() {
    let node = Node(name: "n1", addresses: [.init(ipv4, kind: .external)])
    #expect(node.address(.ipv4) == ipv4)
    #expect(node.address(.ipv6) == nil)
  }

  @Test func `node ports answer on the addresses configured`() throws {
    func addresses(_ choice: Configuration.NodePortAddresses) -> [String] {
      Configuration(nodeName: "n1", nodePortAddresses: choice).nodePortAddresses(of: node).map(\.description)
    }
    #expect(addresses(.all) == ["203.0.113.1", "192.168.50.11", "10.0.0.1", "fd50::11"])
    #expect(addresses(.primary) == ["192.168.50.11", "fd50::11"])
    #expect(addresses(.within([try #require(IPPrefix("192.168.0.0/16"))])) == ["192.168.50.11"])
    #expect(addresses(.within([.all(.ipv4)])) == ["203.0.113.1", "192.168.50.11", "10.0.0.1"])
    #expect(addresses(.within([])).isEmpty)
  }
}

struct ServiceTests {
  private let service = Service(name: web, clusterIPs: [ipv4])

  @Test func `a service with a cluster IP is proxied`() {
    #expect(service.isProxied())
    #expect(service.clusterIP(.ipv4) == ipv4)
    #expect(service.clusterIP(.ipv6) == nil)
  }

  @Test func `an alias, a headless or an unallocated service is not, whatever else it holds`() {
    var alias = service
    alias.kind = .externalName
    #expect(!alias.isProxied())
    var headless = service
    headless.isHeadless = true
    #expect(!headless.isProxied())
    #expect(!Service(name: web, externalIPs: [ipv4]).isProxied())
  }

  @Test func `a service with a proxy name is only for the proxy of that name`() {
    var service = service
    service.proxyName = "other"
    #expect(!service.isProxied())
    #expect(service.isProxied(by: "other"))
    #expect(!self.service.isProxied(by: "other"))
  }

  @Test func `a port's name tells the protocol`() {
    let udp = ServicePortName(service: web, port: "dns", protocol: .udp)
    let tcp = ServicePortName(service: web, port: "dns", protocol: .tcp)
    #expect(udp.description == "default/web:dns/UDP")
    #expect(udp != tcp && tcp < udp)
  }
}

struct WorkloadTests {
  @Test func `only a live pod with its own network has its own addresses`() {
    let pod = Workload(name: web, addresses: [ipv4])
    #expect(pod.hasOwnAddresses)
    #expect(!Workload(name: web).hasOwnAddresses)
    var finished = pod
    finished.isFinished = true
    #expect(!finished.hasOwnAddresses)
    var host = pod
    host.usesHostNetwork = true
    #expect(!host.hasOwnAddresses)
  }
}

struct EndpointSliceTests {
  @Test func `a slice's service is in the slice's namespace`() {
    let name = NamespacedName(namespace: "default", name: "web-x7k2")
    #expect(EndpointSlice(name: name, serviceName: "web", family: .ipv4).service == web)
    #expect(EndpointSlice(name: name, serviceName: nil, family: .ipv4).service == nil)
  }
}
