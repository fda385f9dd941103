import MartletNetworking

/// kube-proxy's nftables mode: a map from address, protocol and port to the service's chain.
struct NFTablesRules {
  let ports: [ProxiedPort]
  let pods: IPPrefix?
  let family: AddressFamily
  let nodeAddresses: [IPAddress]

  private var ip: String { family == .ipv4 ? "ip" : "ip6" }
  private var addressType: String { family == .ipv4 ? "ipv4_addr" : "ipv6_addr" }

  var text: String {
    (["table \(ip) kube-proxy {"] + (sets + chains + ports.flatMap(chains)).map { "  \($0)" } + ["}", ""])
      .joined(separator: "\n")
  }

  private var sets: [String] {
    let portal = "\(addressType) . inet_proto . inet_service : verdict"
    let nodePort = "inet_proto . inet_service : verdict"
    let serviceIPs = ports.flatMap { port in
      ["\(port.clusterIP) . \(port.protocolName) . \(port.port) : goto \(service(port))"]
        + port.externalIPs.map { "\($0) . \(port.protocolName) . \(port.port) : goto \(external(port))" }
    }
    let nodePorts = ports.compactMap { port in
      port.nodePort.map { "\(port.protocolName) . \($0) : goto \(external(port))" }
    }
    return [
      set("set cluster-ips", addressType, Array(Set(ports.map(\.clusterIP.description)))),
      set("set nodeport-ips", addressType, nodeAddresses.map(\.description)),
      set("map no-endpoint-services", portal, []), set("map no-endpoint-nodeports", nodePort, []),
      set("map firewall-ips", portal, []), set("map service-ips", portal, serviceIPs),
      set("map service-nodeports", nodePort, nodePorts),
    ]
  }

  private func set(_ name: String, _ type: String, _ elements: [String]) -> String {
    let list = elements.isEmpty ? "" : "elements = { \(elements.joined(separator: ", ")) };"
    return "\(name) { type \(type); \(list) }"
  }

  private var chains: [String] {
    let portal = "\(ip) daddr . meta l4proto . th dport vmap"
    let nodePort = "\(ip) daddr @nodeport-ips meta l4proto . th dport vmap"
    return [
      // The chains that others jump to come first.
      chain("firewall-check", ["\(portal) @firewall-ips"]),
      chain("nodeport-endpoints-check", ["\(nodePort) @no-endpoint-nodeports"]),
      chain("service-endpoints-check", ["\(portal) @no-endpoint-services"]),
      chain("cluster-ips-check", ["\(ip) daddr @cluster-ips reject"]),
      chain("mark-for-masquerade", ["meta mark set meta mark or 0x4000"]),
      chain(
        "masquerading",
        ["meta mark and 0x4000 == 0 return", "meta mark set meta mark xor 0x4000", "masquerade fully-random"]),
      base("filter-prerouting", "filter hook prerouting priority -110", ["firewall-check"]),
      base(
        "filter-input", "filter hook input priority -110", ["nodeport-endpoints-check", "service-endpoints-check"]),
      base(
        "filter-forward", "filter hook forward priority -110", ["service-endpoints-check", "cluster-ips-check"]),
      base("filter-output", "filter hook output priority -110", ["service-endpoints-check", "firewall-check"]),
      base("filter-output-post-dnat", "filter hook output priority -90", ["cluster-ips-check"]),
      chain("services", ["\(portal) @service-ips", "\(nodePort) @service-nodeports"]),
      chain("nat-prerouting", ["type nat hook prerouting priority -100", "jump services"]),
      chain("nat-output", ["type nat hook output priority -100", "jump services"]),
      chain("nat-postrouting", ["type nat hook postrouting priority 100", "jump masquerading"]),
    ]
  }

  private func chain(_ name: String, _ rules: [String]) -> String {
    "chain \(name) { \(rules.joined(separator: "; ")); }"
  }

  private func base(_ name: String, _ hook: String, _ checks: [String]) -> String {
    chain(name, ["type \(hook)"] + checks.map { "ct state new jump \($0)" })
  }

  private func chains(_ port: ProxiedPort) -> [String] {
    let endpoints = port.endpoints.map { endpoint in
      chain(
        self.endpoint(endpoint, port),
        [
          "\(ip) saddr \(endpoint.address) jump mark-for-masquerade",
          "meta l4proto \(port.protocolName) dnat to \(endpoint.text)",
        ])
    }
    let portal = "\(ip) daddr \(port.clusterIP) \(port.protocolName) dport \(port.port)"
    let fromOutside = pods.map { "\(portal) \(ip) saddr != \($0) jump mark-for-masquerade" }
    let choices = port.endpoints.enumerated().map { "\($0) : goto \(endpoint($1, port))" }.joined(separator: ", ")
    let choice = "numgen random mod \(port.endpoints.count) vmap { \(choices) }"
    return endpoints + [
      chain(service(port), [fromOutside, port.endpoints.isEmpty ? nil : choice].compactMap { $0 }),
      chain(external(port), ["jump mark-for-masquerade", "goto \(service(port))"]),
    ]
  }

  private func label(_ port: ProxiedPort) -> String {
    "\(port.hash.prefix(8))-\(port.name.split(separator: ":").joined(separator: "/"))"
  }

  private func service(_ port: ProxiedPort) -> String { "service-\(label(port))" }

  private func external(_ port: ProxiedPort) -> String { "external-\(label(port))" }

  private func endpoint(_ endpoint: ProxiedPort.Endpoint, _ port: ProxiedPort) -> String {
    "endpoint-\(endpoint.hash.prefix(8))-\(port.name.split(separator: ":").joined(separator: "/"))"
  }
}
