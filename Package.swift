// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "Martlet",
  products: [
    .library(name: "BPF", targets: ["BPF"]),
    .library(name: "BPFTesting", targets: ["BPFTesting"]),
    .library(name: "CBPF", targets: ["CBPF"]),
    .library(name: "Netlink", targets: ["Netlink"]),
    .library(name: "MartletNetworking", targets: ["MartletNetworking"]),
    .library(name: "MartletModel", targets: ["MartletModel"]),
    .library(name: "MartletServices", targets: ["MartletServices"]),
    .library(name: "MartletPolicy", targets: ["MartletPolicy"]),
    .library(name: "MartletDataPlane", targets: ["MartletDataPlane"]),
    .library(name: "MartletKubernetes", targets: ["MartletKubernetes"]),
    .library(name: "KubeProxyRules", targets: ["KubeProxyRules"]),
    .plugin(name: "EmbedBPF", targets: ["EmbedBPF"]),
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
    .target(name: "BPFTesting", dependencies: ["BPF", "CBPF", "CBPFTesting", "MartletNetworking"]),
    .target(name: "MartletNetworking"),
    .target(name: "Netlink", dependencies: ["MartletNetworking"]),
    .target(name: "MartletModel", dependencies: ["MartletNetworking"]),
    .target(name: "TableSupport", dependencies: ["CBPF", "MartletNetworking"]),
    .target(
      name: "MartletServices", dependencies: ["BPF", "CBPF", "MartletModel", "MartletNetworking", "TableSupport"]),
    .target(name: "MartletPolicy", dependencies: ["BPF", "CBPF", "MartletModel", "MartletNetworking", "TableSupport"]),
    .target(name: "TableTesting", dependencies: ["BPF", "BPFTesting"], path: "Tests/Support/TableTesting"),
    .target(
      name: "PolicyTesting",
      dependencies: ["BPF", "CBPF", "MartletModel", "MartletNetworking", "MartletPolicy", "TableTesting"],
      path: "Tests/Support/PolicyTesting"),
    .target(
      name: "MartletDataPlane",
      dependencies: [
        "BPF", "BPFPrograms", "CBPF", "MartletModel", "Netlink", "MartletNetworking", "MartletPolicy",
        "MartletServices", "TableSupport",
        .product(name: "Logging", package: "swift-log"),
      ]),
    .target(
      name: "MartletKubernetes",
      dependencies: [
        "MartletModel", "MartletNetworking",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Yams", package: "Yams"),
      ]),
    .target(
      name: "KubeProxyRules", dependencies: ["MartletModel", "MartletNetworking"], path: "Examples/KubeProxyRules"),
    .executableTarget(
      name: "martlet",
      dependencies: [
        "MartletDataPlane", "KubeProxyRules", "MartletKubernetes", "MartletModel", "Netlink", "MartletNetworking",
        "MartletPolicy",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "FlyingFox", package: "FlyingFox"),
        .product(name: "Logging", package: "swift-log"),
      ],
      path: "Examples/martlet"),
    .testTarget(
      name: "BPFTests", dependencies: ["BPF", "BPFTesting", "CBPF"], exclude: ["Programs"],
      plugins: [.plugin(name: "EmbedBPF")]),
    .testTarget(name: "BPFTestingTests", dependencies: ["BPFTesting", "MartletNetworking"]),
    .testTarget(name: "NetworkingTests", dependencies: ["MartletNetworking", "BPFTesting"]),
    .testTarget(name: "ModelTests", dependencies: ["MartletModel", "MartletNetworking"]),
    .testTarget(name: "NetlinkTests", dependencies: ["Netlink", "MartletNetworking", "BPFTesting"]),
    .testTarget(
      name: "ServicesTests",
      dependencies: [
        "MartletServices", "TableSupport", "TableTesting", "MartletModel", "MartletNetworking", "BPF", "BPFTesting",
      ]),
    .testTarget(
      name: "PolicyTests",
      dependencies: [
        "MartletPolicy", "PolicyTesting", "TableTesting", "MartletModel", "MartletNetworking", "BPF", "CBPF",
      ]),
    .testTarget(name: "KubernetesTests", dependencies: ["MartletKubernetes", "MartletModel", "MartletNetworking"]),
    .testTarget(
      name: "DataPlaneTests",
      dependencies: [
        "MartletDataPlane", "MartletServices", "MartletModel", "MartletNetworking", "BPF", "BPFPrograms", "BPFTesting",
        "CBPF",
      ]),
    .testTarget(
      name: "ClusterTests",
      dependencies: ["MartletDataPlane", "MartletKubernetes", "MartletModel", "MartletNetworking", "BPF", "BPFTesting"]),
    .testTarget(name: "AgentTests", dependencies: ["martlet", "BPFTesting"]),
    .testTarget(
      name: "LoadTests",
      dependencies: [
        "MartletDataPlane", "MartletPolicy", "PolicyTesting", "MartletModel", "MartletNetworking", "BPF", "BPFTesting",
        "CBPF",
      ]),
    .testTarget(
      name: "KernelTests",
      dependencies: [
        "MartletDataPlane", "MartletServices", "MartletPolicy", "PolicyTesting", "MartletModel", "MartletNetworking",
        "BPF", "BPFPrograms", "BPFTesting",
        "CBPF",
      ]),
  ],
  swiftLanguageModes: [.v6]
)
