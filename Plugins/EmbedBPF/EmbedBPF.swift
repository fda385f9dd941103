import Foundation
import PackagePlugin

/// Compiles BPF programs with the toolchain's own clang, and generates one Swift file per object that holds its bytes, as
/// a member of `BPFPrograms`, an enum that the target declares.
///
/// The programs are the `*.bpf.c` in the target's own folder `Programs` if it has one, otherwise those of the C target
/// that it depends on.
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
    let include = root.appending(path: "include")
    let own = target.directoryURL.appending(path: "Programs")
    let hasOwn = FileManager.default.fileExists(atPath: own.path)
    let (folder, label) = hasOwn ? (own, "Programs") : (root.appending(path: "datapath"), "CBPF/datapath")
    let headers = try files(below: folder, suffix: ".h") + files(below: include, suffix: ".h")

    return try files(below: folder, suffix: ".bpf.c").map { source in
      let stem = String(source.lastPathComponent.dropLast(".bpf.c".count))
      let object = context.pluginWorkDirectoryURL.appending(path: "\(stem).bpf.o")
      let output = context.pluginWorkDirectoryURL.appending(path: "\(stem)+object.swift")
      return .buildCommand(
        displayName: "Compiling BPF object \(stem).bpf.c",
        executable: tool,
        arguments: [stem, object.path, output.path, clang.path]
          + compilerFlags(include: include.path, folder: folder.path, label: label)
          + ["-c", source.path, "-o", object.path],
        inputFiles: [source] + headers,
        outputFiles: [output])
    }
  }

  /// The prefix map keeps the builder's paths out of the object, so that its bytes do not depend on the folder.
  private func compilerFlags(include: String, folder: String, label: String) -> [String] {
    [
      "-target", "bpf", "-mcpu=v3", "-O2", "-g",
      "-Wall", "-Wextra", "-Werror", "-Wpadded", "-Werror=padded", "-Wno-unused-parameter",
      "-ffile-prefix-map=\(include)=CBPF/include", "-ffile-prefix-map=\(folder)=\(label)",
      "-fdebug-compilation-dir=.", "-isystem", "/usr/include/\(Self.multiarch)", "-I\(include)", "-I\(folder)",
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
