// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "own-program",
  dependencies: [.package(name: "Martlet", path: "../..")],
  targets: [
    .executableTarget(
      name: "own-program",
      dependencies: [.product(name: "BPF", package: "Martlet")],
      exclude: ["Programs"],
      plugins: [.plugin(name: "EmbedBPF", package: "Martlet")])
  ]
)
