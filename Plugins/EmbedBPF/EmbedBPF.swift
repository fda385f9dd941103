import Foundation
import PackagePlugin

/// Compiles BPF programs with the toolchain's own clang, and generates one Swift file per object that holds its bytes, as
/// a member of `BPFPrograms`, an enum that the target declares.
///
/// The programs are the `*.bpf.c` in the target's own folder `Programs` if it has one, otherwise those of CBPF, which the
/// target then has to depend on. They find the public headers of all C targets that the target depends on: a layout that
/// Swift imports is written once.
///
/// The object itself is left undeclared: SwiftPM would copy a declared `.o` as a resource bundle, and the library
/// must not need a file beside the binary.
@main struct EmbedBPF: BuildToolPlugin {
  func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
    guard let programs = programs(of: target) else {
      Diagnostics.error("\(target.name) uses EmbedBPF, but has no folder Programs with BPF programs in it")
      return []
    }
    let clang = try context.tool(named: "clang").url
    let tool = try context.tool(named: "bpf-embed").url
    let includes = target.recursiveTargetDependencies.compactMap { dependency in
      (dependency as? ClangSourceModuleTarget)?.publicHeadersDirectoryURL.map { (dependency.name, $0) }
    }
    let headers = try ([programs.folder] + includes.map(\.1)).flatMap { try files(below: $0, suffix: ".h") }

    return try files(below: programs.folder, suffix: ".bpf.c").map { source in
      let stem = String(source.lastPathComponent.dropLast(".bpf.c".count))
      let object = context.pluginWorkDirectoryURL.appending(path: "\(stem).bpf.o")
      let output = context.pluginWorkDirectoryURL.appending(path: "\(stem)+object.swift")
      return .buildCommand(
        displayName: "Compiling BPF object \(stem).bpf.c",
        executable: tool,
        arguments: [stem, object.path, output.path, clang.path] + Self.flags
          + includes.flatMap { name, folder in [Self.hiding(folder, as: "\(name)/include"), "-I\(folder.path)"] }
          + [Self.hiding(programs.folder, as: programs.label), "-I\(programs.folder.path)"]
          + ["-c", source.path, "-o", object.path],
        inputFiles: [source] + headers,
        outputFiles: [output])
    }
  }

  /// Where the target's programs are, and what that is called in the objects.
  private func programs(of target: any Target) -> (folder: URL, label: String)? {
    let own = target.directoryURL.appending(path: "Programs")
    if FileManager.default.fileExists(atPath: own.path) { return (own, "Programs") }
    let owner = target.recursiveTargetDependencies.first { $0.name == "CBPF" }
    return owner.map { ($0.directoryURL.appending(path: "datapath"), "CBPF/datapath") }
  }

  private static let flags = [
    "-target", "bpf", "-mcpu=v3", "-O2", "-g",
    "-Wall", "-Wextra", "-Werror", "-Wpadded", "-Werror=padded", "-Wno-unused-parameter",
    "-fdebug-compilation-dir=.", "-isystem", "/usr/include/\(multiarch)",
  ]

  /// Keeps the builder's paths out of the object, so that its bytes do not depend on the folder.
  private static func hiding(_ folder: URL, as label: String) -> String { "-ffile-prefix-map=\(folder.path)=\(label)" }

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
