// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that who uses Martlet does not build its measurements.
let package = Package(
  name: "Benchmarks",
  dependencies: [.package(name: "Martlet", path: "..")],
  targets: [
    .target(name: "CConnections"),
    .executableTarget(
      name: "measure",
      dependencies: [
        "CConnections",
        .product(name: "BPF", package: "Martlet"),
        .product(name: "BPFTesting", package: "Martlet"),
        .product(name: "MartletDataPlane", package: "Martlet"),
        .product(name: "KubeProxyRules", package: "Martlet"),
        .product(name: "MartletModel", package: "Martlet"),
        .product(name: "MartletNetworking", package: "Martlet"),
      ]),
  ],
  swiftLanguageModes: [.v6]
)
