// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "Martlet",
  products: [
    .library(name: "BPF", targets: ["BPF"]),
    .library(name: "BPFTesting", targets: ["BPFTesting"]),
    .library(name: "Networking", targets: ["Networking"]),
    .library(name: "Model", targets: ["Model"]),
    .library(name: "Services", targets: ["Services"]),
    .library(name: "Policy", targets: ["Policy"]),
    .library(name: "DataPlane", targets: ["DataPlane"]),
    .library(name: "Kubernetes", targets: ["Kubernetes"]),
    .library(name: "KubeProxyRules", targets: ["KubeProxyRules"]),
    .executable(name: "martlet", targets: ["martlet"]),
  ],
  traits: [
    .default(enabledTraits: ["SharedLibbpf"]),
    .trait(name: "SharedLibbpf", description: "Link the system's libbpf.so."),
    .trait(
      name: "StaticLibbpf",
      description: "Link libbpf.a, libelf.a and libz.a, so that the binary needs none of them at run time."),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
    .package(url: "https://github.com/swhitty/FlyingFox", from: "0.27.1"),
  ],
  targets: [
    .target(
      name: "CBPF",
      path: "CBPF",
      exclude: ["datapath"],
      sources: ["shim"],
      publicHeadersPath: "include",
      linkerSettings: [
        .linkedLibrary("bpf", .when(traits: ["SharedLibbpf"])),
        .linkedLibrary(":libbpf.a", .when(traits: ["StaticLibbpf"])),
        .linkedLibrary(":libelf.a", .when(traits: ["StaticLibbpf"])),
        .linkedLibrary(":libz.a", .when(traits: ["StaticLibbpf"])),
        .linkedLibrary("cap"),
      ]),
    .executableTarget(name: "bpf-embed"),
    .plugin(name: "EmbedBPF", capability: .buildTool(), dependencies: ["bpf-embed"]),
    .target(name: "BPFPrograms", dependencies: ["CBPF"], plugins: [.plugin(name: "EmbedBPF")]),
    .target(name: "BPF", dependencies: ["CBPF"]),
    .target(name: "CBPFTesting"),
    .target(name: "BPFTesting", dependencies: ["BPF", "CBPF", "CBPFTesting", "Networking"]),
    .target(name: "Networking"),
    .target(name: "Netlink", dependencies: ["Networking"]),
    .target(name: "Model", dependencies: ["Networking"]),
    .target(name: "TableSupport", dependencies: ["CBPF", "Networking"]),
    .target(name: "Services", dependencies: ["BPF", "CBPF", "Model", "Networking", "TableSupport"]),
    .target(name: "Policy", dependencies: ["BPF", "CBPF", "Model", "Networking", "TableSupport"]),
    .target(name: "TableTesting", dependencies: ["BPF", "BPFTesting"], path: "Tests/Support/TableTesting"),
    .target(
      name: "PolicyTesting", dependencies: ["BPF", "CBPF", "Model", "Networking", "Policy", "TableTesting"],
      path: "Tests/Support/PolicyTesting"),
    .target(
      name: "DataPlane",
      dependencies: [
        "BPF", "BPFPrograms", "CBPF", "Model", "Netlink", "Networking", "Policy", "Services", "TableSupport",
        .product(name: "Logging", package: "swift-log"),
      ]),
    .target(
      name: "Kubernetes",
      dependencies: [
        "Model", "Networking",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Yams", package: "Yams"),
      ]),
    .target(name: "KubeProxyRules", dependencies: ["Model", "Networking"], path: "Examples/KubeProxyRules"),
    .executableTarget(
      name: "martlet",
      dependencies: [
        "DataPlane", "KubeProxyRules", "Kubernetes", "Model", "Netlink", "Networking", "Policy",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "FlyingFox", package: "FlyingFox"),
        .product(name: "Logging", package: "swift-log"),
      ],
      path: "Examples/martlet"),
    .testTarget(name: "BPFTests", dependencies: ["BPF", "BPFTesting", "CBPF"]),
    .testTarget(name: "BPFTestingTests", dependencies: ["BPFTesting", "Networking"]),
    .testTarget(name: "NetworkingTests", dependencies: ["Networking", "BPFTesting"]),
    .testTarget(name: "ModelTests", dependencies: ["Model", "Networking"]),
    .testTarget(name: "NetlinkTests", dependencies: ["Netlink", "Networking", "BPFTesting"]),
    .testTarget(
      name: "ServicesTests",
      dependencies: ["Services", "TableSupport", "TableTesting", "Model", "Networking", "BPF", "BPFTesting"]),
    .testTarget(
      name: "PolicyTests",
      dependencies: ["Policy", "PolicyTesting", "TableTesting", "Model", "Networking", "BPF", "CBPF"]),
    .testTarget(name: "KubernetesTests", dependencies: ["Kubernetes", "Model", "Networking"]),
    .testTarget(
      name: "DataPlaneTests",
      dependencies: ["DataPlane", "Services", "Model", "Networking", "BPF", "BPFPrograms", "BPFTesting", "CBPF"]),
    .testTarget(
      name: "ClusterTests",
      dependencies: ["DataPlane", "Kubernetes", "Model", "Networking", "BPF", "BPFTesting"]),
    .testTarget(name: "AgentTests", dependencies: ["martlet", "BPFTesting"]),
    .testTarget(
      name: "LoadTests",
      dependencies: [
        "DataPlane", "Policy", "PolicyTesting", "Model", "Networking", "BPF", "BPFTesting", "CBPF",
      ]),
    .testTarget(
      name: "KernelTests",
      dependencies: [
        "DataPlane", "Services", "Policy", "PolicyTesting", "Model", "Networking", "BPF", "BPFPrograms", "BPFTesting",
        "CBPF",
      ]),
  ],
  swiftLanguageModes: [.v6]
)
