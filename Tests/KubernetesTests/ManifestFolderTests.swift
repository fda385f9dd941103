import Foundation
import MartletKubernetes
import MartletModel
import MartletNetworking
import Testing

private func name(_ name: String) -> NamespacedName { NamespacedName(namespace: "default", name: name) }

private func service(_ name: String, port: Int = 80) -> String {
  "apiVersion: v1\nkind: Service\nmetadata: {name: \(name)}\nspec: {clusterIP: 10.96.0.1, ports: [{port: \(port)}]}\n"
}

struct ManifestFolderTests {
  @Test func `takes manifests by their suffix and nothing else`() throws {
    let folder = try TemporaryFolder([
      "a.yaml": service("a"), "b.yml": service("b"),
      "c.json": #"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "c"}}"#,
      "d.yaml.tmp": service("d"), "e.yaml~": service("e"), ".f.yaml": service("f"), "g": service("g"),
    ])
    try FileManager.default.createDirectory(atPath: folder.file("h.yaml"), withIntermediateDirectories: false)
    try FileManager.default.createSymbolicLink(atPath: folder.file("i.yaml"), withDestinationPath: "nowhere")
    let contents = folder.load()
    #expect(contents.state.services.keys.sorted() == ["a", "b", "c"].map(name))
    #expect(contents.complaints == [])
  }

  @Test func `a folder that isn't there is a problem, not a crash`() throws {
    let contents = ManifestFolder(path: "/nonexistent/manifests").load()
    #expect(contents.complaints == ["/nonexistent/manifests: cannot be read: No such file or directory"])
    #expect(contents.state == ClusterState())
  }

  @Test func `a file may hold documents, empty ones, and lists of all sorts`() throws {
    let contents = try contents([
      "all.yaml": """
      # A comment first.
      ---
      \(service("a"))---
      ---
      # Nothing here.
      --- # A list.
      apiVersion: v1
      kind: List
      items:
      - {apiVersion: v1, kind: Service, metadata: {name: b}}
      - {apiVersion: v1, kind: Node, metadata: {name: n1}}
      ---
      apiVersion: v1
      kind: ServiceList
      items:
      - metadata: {name: c}
      - {metadata: {name: d}, spec: {ports: [{port: 99999}]}}
      ---
      {apiVersion: v1, kind: PodList, items: null}
      """,
      "more.json":
        #"{"apiVersion":"v1","kind":"Service","metadata":{"name":"e"}} {"apiVersion":"v1","kind":"Service","metadata":{"name":"f"}}"#,
    ])
    #expect(contents.state.services.keys.sorted() == ["a", "b", "c", "e", "f"].map(name))
    #expect(contents.state.nodes.keys.sorted() == ["n1"])
    #expect(
      contents.complaints == [
        "all.yaml: document 3, line 21: Service default/d: spec.ports[0].port: 99999 is not a port (1 to 65535)"
      ])
  }

  @Test func `lines may end as on Windows, and a file begin with a mark`() throws {
    let text = "\u{feff}\(service("a"))---\n\(service("b", port: 70_000))".replacing("\n", with: "\r\n")
    let contents = try contents(["x.yaml": text, "y.json": "\u{feff}{\r\n}"])
    #expect(contents.state.services.keys.sorted() == [name("a")])
    #expect(
      contents.complaints == [
        "x.yaml: document 2, line 9: Service default/b: spec.ports[0].port: 70000 is not a port (1 to 65535)",
        "y.json: document 1, line 1: apiVersion: is missing",
      ])
  }

  @Test func `a file may begin with directives, and end documents`() throws {
    let object = "apiVersion: v1\nkind: Namespace\nmetadata: {name: "
    let text = "%YAML 1.2\n---\n\(object)a}\n...\n%YAML 1.1\n---\n\(object)b}\n...\n\(object)c}\n"
    let found = try contents(["a.yaml": text])
    #expect(found.complaints == [])
    #expect(found.state.namespaces.keys.sorted() == ["a", "b", "c"])
  }

  @Test func `a syntax error costs its own document only`() throws {
    let contents = try contents(["x.yaml": "\(service("a"))---\nkind: [\nfoo: bar\n---\n\(service("b"))"])
    #expect(contents.state.services.keys.sorted() == ["a", "b"].map(name))
    #expect(
      contents.complaints == [
        "x.yaml: document 2, line 7: did not find expected ',' or ']' while parsing a flow sequence, line 6"
      ])
  }

  @Test func `JSON escapes make any character`() throws {
    let text = #"{"apiVersion":"v1","kind":"Node","metadata":{"name":"n","labels":{"a":"\ud83d\ude00 \b\f\r\u0041"}}}"#
    #expect(try contents(["x.json": text]).state.nodes["n"]?.labels == ["a": "😀 \u{8}\u{c}\rA"])
  }

  @Test(arguments: [
    (#"{"a": }"#, "line 1: expected a value, found '}'"),
    ("[\n1,\n]", "line 3: expected a value, found ']'"),
    ("{\n\"a\": 1\n\"b\": 2}", #"line 3: expected ',' or '}', found '"b": 2}'"#),
    ("{\"a\": \"x\n\"}", "line 1: a string is not closed, or holds a control character"),
    ("\n{\"a\": \"x", "line 2: a string is not closed"),
    (#"{"a": 1, "a": 2}"#, #"line 1: the name "a" occurs twice"#),
    (#"{"a": "\x"}"#, "line 1: expected an escape sequence, found 'x\"}'"),
    (#"{"a": "\ud800"}"#, "line 1: half of a surrogate pair"),
    (#"{"a": 01}"#, "line 1: expected ',' or '}', found '1}'"),
    (#"{"a": tru}"#, "line 1: expected a value, found 'tru}'"),
    (#"{a: 1}"#, "line 1: expected a quoted name, found 'a: 1}'"),
    (String(repeating: "[", count: 100_000), "line 1: nested more than 256 deep"),
    ("80", "line 1: expected an object, found the number 80"),
    ("{}", "line 1: apiVersion: is missing"),
    (#"{"apiVersion": "v1"}"#, "line 1: kind: is missing"),
    (#"{"apiVersion": "v1", "kind": "Node"}"#, "line 1: Node: metadata: is missing"),
    (
      #"{"apiVersion": "v1", "kind": "Node", "metadata": {"name": ""}}"#,
      #"line 1: Node: metadata.name: "" is not a name"#
    ),
    (
      "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n{\"kind\": \"Node\"}]}",
      "line 2: Node: items[0].apiVersion: is missing"
    ),
  ])
  func `JSON that is wrong is named with its line`(text: String, complaint: String) throws {
    #expect(try contents(["x.json": text]).complaints == ["x.json: document 1, \(complaint)"])
  }

  @Test func `text that isn't UTF-8 is said to be so`() throws {
    let folder = try TemporaryFolder()
    try Data([0x61, 0xff]).write(to: URL(filePath: folder.file("x.yaml")))
    #expect(folder.load().complaints == ["x.yaml: document 1, line 1: is not UTF-8"])
  }

  @Test func `JSON means the same when it is read as YAML`() throws {
    let json = #"""
      {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "", "uid": "\u00e9\t\n\"\\\/",
        "labels": {"a": "80", "b": "true", "c": "", "d": "~", "e": "1e3", "f": "no"}},
       "spec": {"hostNetwork": false, "nodeName": null, "containers": [{"ports": [{"name": "x", "containerPort": 80}]}]},
       "status": {"podIPs": [{"ip": "fd00::1"}], "x": [1, -2, 0, 1.5, -0.0, 1e9, [], {}]}}
      """#
    let asJSON = try contents(["x.json": json])
    let asYAML = try contents(["x.yaml": json])
    #expect(asJSON.complaints == [])
    #expect(asYAML.complaints == [])
    #expect(asJSON.state == asYAML.state)
    #expect(asJSON.state.workloads[name("p")]?.uid == "é\t\n\"\\/")
    #expect(asJSON.state.workloads[name("p")]?.labels["e"] == "1e3")
  }

  @Test func `YAML scalars mean what they mean to kubectl`() throws {
    func complaint(_ label: String) throws -> String? {
      let text = "apiVersion: v1\nkind: Node\nmetadata: {name: n1, labels: {a: \(label)}}"
      return try contents(["x.yaml": text]).problems.first?.message
    }
    for text in [
      "a", "'80'", "\"true\"", "10.0.0.1", "1.2.3", "2026-01-02T03:04:05Z", "-", "!!str 80", "0x", "fd00::1", "y", "N",
    ] {
      #expect(try complaint(text) == nil, "\(text)")
    }
    for text in ["80", "1.10", "-3", "true", "yes", "off", "1e3"] {
      #expect(try complaint(text)?.contains("put it in quotes") == true, "\(text)")
    }
  }

  @Test func `YAML anchors and merges are followed`() throws {
    let contents = try contents([
      "x.yaml": """
      apiVersion: v1
      kind: List
      items:
      - apiVersion: v1
        kind: Service
        metadata: &meta {name: a, labels: &labels {service.kubernetes.io/service-proxy-name: x}}
      - apiVersion: v1
        kind: Service
        metadata: {<<: *meta, name: b}
      - apiVersion: v1
        kind: Service
        metadata: {name: c, labels: *labels}
      """
    ])
    #expect(contents.complaints == [])
    #expect(contents.state.services.keys.sorted() == ["a", "b", "c"].map(name))
    #expect(contents.state.services.values.allSatisfy { $0.proxyName == "x" })
  }

  @Test func `a name that occurs twice is refused in YAML too`() throws {
    let contents = try contents(["x.yaml": "\n---\nkind: Node\napiVersion: v1\nkind: Pod\n"])
    #expect(contents.complaints == [#"x.yaml: document 1, line 3: the name "kind" occurs twice"#])
  }

  @Test func `kinds that are none of ours are named once each`() throws {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n"
    let old = "apiVersion: discovery.k8s.io/v1beta1\nkind: EndpointSlice\nmetadata: {name: x}\n"
    let contents = try contents(["a.yaml": "\(deployment)---\n\(deployment)---\n\(old)", "b.yaml": deployment])
    #expect(
      contents.complaints == [
        "a.yaml: document 1, line 1: objects of kind Deployment (apps/v1) have no effect here",
        "a.yaml: document 3, line 9: objects of kind EndpointSlice (discovery.k8s.io/v1beta1) have no effect here",
      ])
    #expect(contents.problems.allSatisfy { $0.severity == .warning })
  }

  @Test func `what is written almost right is told what it may be`() throws {
    let contents = try contents([
      "a.yaml": """
      apiVersion: v1
      kind: service
      metadata: {name: a}
      ---
      apiVersion: v1
      kind: Namespace
      metadata:
        name: b
        annotations: {martlet.dev/loadbalancing: maglev, example.com/x: "1", martlet.dev/deny: reject}
      """
    ])
    #expect(contents.complaints.count == 2)
    #expect(contents.complaints.first?.hasSuffix("have no effect here; did you mean kind Service?") == true)
    #expect(
      contents.complaints.last?.hasPrefix(
        #"a.yaml: document 2, line 9: Namespace b: metadata.annotations["martlet.dev/loadbalancing"]: has no effect; known"#
      )
        == true, "\(contents.complaints)")
    #expect(contents.problems.allSatisfy { $0.severity == .warning })
  }

  @Test func `of the same object in two places the last counts`() throws {
    let contents = try contents([
      "b.yaml": service("a", port: 2), "a.yaml": service("a", port: 1), "c.yaml": "\n\(service("a", port: 3))",
    ])
    #expect(contents.state.services[name("a")]?.ports == [.init(port: 3)])
    #expect(
      contents.complaints == [
        "b.yaml: document 1, line 1: Service default/a: is also in a.yaml, line 1; this one, the last, counts",
        "c.yaml: document 1, line 2: Service default/a: is also in b.yaml, line 1; this one, the last, counts",
      ])
  }
}
