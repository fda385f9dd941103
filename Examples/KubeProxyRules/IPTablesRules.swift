import MartletNetworking

/// kube-proxy's iptables mode: a list of rules that each new connection is compared with, one after the other.
struct IPTablesRules {
  let ports: [ProxiedPort]
  let pods: IPPrefix?

  var text: String {
    let nat = portals + masquerading + ports.flatMap(rules) + [nodePorts]
    return table("filter", filterChains, filter) + table("nat", natChains, nat)
  }

  private func table(_ name: String, _ chains: [String], _ rules: [String]) -> String {
    (["*\(name)"] + chains.map { ":\($0) - [0:0]" } + rules.map { "-A \($0)" } + ["COMMIT", ""])
      .joined(separator: "\n")
  }

  private let filterChains = [
    "KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS", "KUBE-PROXY-FIREWALL", "KUBE-FORWARD",
  ]

  /// Chains for services without endpoints, for health checks and for source ranges, all empty here, and what forwards.
  private let filter = [
    #"INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL"#,
    #"INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS"#,
    #"INPUT -m conntrack --ctstate NEW "#
      + #"-m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES"#,
    #"FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" "#
      + "-j KUBE-PROXY-FIREWALL",
    #"FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD"#,
    #"FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES"#,
    #"FORWARD -m conntrack --ctstate NEW "#
      + #"-m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES"#,
    #"OUTPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL"#,
    #"OUTPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES"#,
    "KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP",
    #"KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT"#,
    #"KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" "#
      + "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
  ]

  private let portals = [
    #"PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES"#,
    #"OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES"#,
    #"POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING"#,
  ]

  private let masquerading = [
    "KUBE-MARK-MASQ -j MARK --or-mark 0x4000",
    "KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
    "KUBE-POSTROUTING -j MARK --xor-mark 0x4000",
    #"KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully"#,
  ]

  private let nodePorts =
    #"KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" "#
    + "-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS"

  private var natChains: [String] {
    ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"]
      + ports.flatMap { port in
        ["KUBE-SVC-\(port.hash)"] + (port.isExternal ? ["KUBE-EXT-\(port.hash)"] : [])
          + port.endpoints.map { "KUBE-SEP-\($0.hash)" }
      }
  }

  private func rules(_ port: ProxiedPort) -> [String] {
    clusterRules(port) + (port.isExternal ? externalRules(port) : [])
      + port.endpoints.flatMap { endpointRules($0, port) }
  }

  private func comment(_ text: String) -> String { "-m comment --comment \"\(text)\"" }

  private func clusterRules(_ port: ProxiedPort) -> [String] {
    let service = "KUBE-SVC-\(port.hash)"
    let portal = "\(comment("\(port.name) cluster IP")) \(match(port.clusterIP, port))"
    let fromOutside = pods.map { "\(service) \(portal) ! -s \($0) -j KUBE-MARK-MASQ" }
    let choices = port.endpoints.enumerated().map { index, endpoint in
      let left = port.endpoints.count - index
      let chance = left > 1 ? " -m statistic --mode random --probability \(1 / Double(left))" : ""
      return "\(service) \(comment("\(port.name) -> \(endpoint.text)"))\(chance) -j KUBE-SEP-\(endpoint.hash)"
    }
    return ["KUBE-SERVICES \(portal) -j \(service)"] + [fromOutside].compactMap { $0 } + choices
  }

  private func externalRules(_ port: ProxiedPort) -> [String] {
    let external = "KUBE-EXT-\(port.hash)"
    let nodePort = port.nodePort.map {
      "KUBE-NODEPORTS \(comment(port.name)) -m \(port.protocolName) -p \(port.protocolName) --dport \($0) -j \(external)"
    }
    let portals = port.externalIPs.map {
      "KUBE-SERVICES \(comment("\(port.name) external IP")) \(match($0, port)) -j \(external)"
    }
    let masquerade = "masquerade traffic for \(port.name) external destinations"
    return [nodePort].compactMap { $0 } + portals + [
      "\(external) \(comment(masquerade)) -j KUBE-MARK-MASQ", "\(external) -j KUBE-SVC-\(port.hash)",
    ]
  }

  private func endpointRules(_ endpoint: ProxiedPort.Endpoint, _ port: ProxiedPort) -> [String] {
    let rule = "KUBE-SEP-\(endpoint.hash) \(comment(port.name))"
    let `protocol` = "-m \(port.protocolName) -p \(port.protocolName)"
    return [
      "\(rule) -s \(endpoint.address) -j KUBE-MARK-MASQ",
      "\(rule) \(`protocol`) -j DNAT --to-destination \(endpoint.text)",
    ]
  }

  private func match(_ address: IPAddress, _ port: ProxiedPort) -> String {
    "-m \(port.protocolName) -p \(port.protocolName) -d \(address) --dport \(port.port)"
  }
}
