import Foundation
import PackagePlugin

/// Compiles every `*.bpf.c` of the C target that the Swift target depends on with the toolchain's own clang, and
/// generates one Swift file per object that holds its bytes.
///
/// The object itself is left undeclared: SwiftPM would copy a declared `.o` as a resource bundle, and the library
/// must not need a file beside the binary.
@main struct EmbedBPF: BuildToolPlugin {
  func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
    guard let owner = target.recursiveTargetDependencies.first(where: { $0.name == "CBPF" }) else {
      Diagnostics.error("\(target.name) uses EmbedBPF but does not depend on CBPF, which holds the BPF programs")
      return []
    }
    let clang = try context.tool(named: "clang").url
    let tool = try context.tool(named: "bpf-embed").url
    let root = owner.directoryURL
    let datapath = root.appending(path: "datapath")
    let include = root.appending(path: "include")
    let headers = try files(below: datapath, suffix: ".h") + files(below: include, suffix: ".h")

    return try files(below: datapath, suffix: ".bpf.c").map { source in
      let stem = String(source.lastPathComponent.dropLast(".bpf.c".count))
      let object = context.pluginWorkDirectoryURL.appending(path: "\(stem).bpf.o")
      let output = context.pluginWorkDirectoryURL.appending(path: "\(stem)+object.swift")
      return .buildCommand(
        displayName: "Compiling BPF object \(stem).bpf.c",
        executable: tool,
        arguments: [stem, object.path, output.path, clang.path]
          + compilerFlags(root: root.path, include: include.path, datapath: datapath.path)
          + ["-c", source.path, "-o", object.path],
        inputFiles: [source] + headers,
        outputFiles: [output])
    }
  }

  /// The prefix map keeps the builder's paths out of the object, so that its bytes do not depend on the folder.
  private func compilerFlags(root: String, include: String, datapath: String) -> [String] {
    [
      "-target", "bpf", "-mcpu=v3", "-O2", "-g",
      "-Wall", "-Wextra", "-Werror", "-Wpadded", "-Werror=padded", "-Wno-unused-parameter",
      "-ffile-prefix-map=\(root)=CBPF", "-fdebug-compilation-dir=.",
      "-isystem", "/usr/include/\(Self.multiarch)", "-I\(include)", "-I\(datapath)",
    ]
  }

  /// Debian's folder for headers that differ between architectures (`asm/types.h` among them).
  private static var multiarch: String {
    #if arch(x86_64)
      "x86_64-linux-gnu"
    #elseif arch(arm64)
      "aarch64-linux-gnu"
    #else
      #error("add this architecture's Debian multiarch folder")
    #endif
  }

  private func files(below folder: URL, suffix: String) throws -> [URL] {
    guard let walker = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil) else { return [] }
    return walker.compactMap { $0 as? URL }
      .filter { $0.lastPathComponent.hasSuffix(suffix) }
      .sorted { $0.path < $1.path }
  }
}
