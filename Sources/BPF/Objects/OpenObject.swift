import CBPF
import Glibc

/// A BPF object that is open but not loaded: nothing of it is in the kernel yet, and everything can still be changed.
///
/// Open one, set constants and sizes, then ``load()`` it, which uses it up: the wrong order does not compile. Nor does a
/// global variable, such as one at the top level of `main.swift`, which cannot be used up: do it in a function.
///
/// ```swift
/// let opening = try OpenObject(hexadecimal: BPFPrograms.tc, name: "tc")
/// try opening.setConstant("node_index", to: UInt32(7))
/// try opening.resize(map: "flows", to: 65_536)
/// let object = try opening.load()
/// let program = try object.program(named: "from_pod")
/// ```
///
/// Not `Sendable`: libbpf's objects belong to one thread at a time. The ``Object`` it loads into is.
public struct OpenObject: ~Copyable {
  let pointer: OpaquePointer
  /// Templates of inner maps, which libbpf wants open until the object is loaded.
  private var templates: [DescriptorBox] = []

  /// Opens an ELF object held in memory.
  ///
  /// The corresponding C function is `bpf_object__open_mem`.
  public init(bytes: [UInt8], name: String) throws(BPFError) {
    let (object, log) = capturingLog {
      let object = bytes.withUnsafeBytes { cbpf_object_open_bytes($0.baseAddress, $0.count, name) }
      return (pointer: object, errno: errno)
    }
    try self.init(opened: object.pointer, errno: object.errno, name: name, log: log)
  }

  /// Opens an ELF object written as two hexadecimal digits a byte, as the build embeds it.
  public init(hexadecimal: StaticString, name: String) throws(BPFError) {
    guard let bytes = Self.decode(hexadecimal) else {
      throw BPFError(.invalid, operation: "open", object: name, hint: "its text is not hexadecimal digits in pairs")
    }
    try self.init(bytes: bytes, name: name)
  }

  /// Opens the ELF object in the file at `path`.
  ///
  /// The corresponding C function is `bpf_object__open_file`.
  public init(contentsOf path: String) throws(BPFError) {
    let (object, log) = capturingLog { (pointer: cbpf_object_open_file(path), errno: errno) }
    try self.init(opened: object.pointer, errno: object.errno, name: path, log: log)
  }

  private init(opened: OpaquePointer?, errno: Int32, name: String, log: String) throws(BPFError) {
    guard let opened else {
      throw BPFError(errno: errno, operation: "open", object: name, log: VerifierLog(text: log))
    }
    pointer = opened
  }

  deinit { bpf_object__close(pointer) }

  /// The name given when it was opened; of a file, its name without folder and extension.
  public var name: String { bpf_object__name(pointer).map { String(cString: $0) } ?? "" }

  /// The names of its programs, in the object's order.
  public var programNames: [String] { programs.map(Self.name(ofProgram:)) }

  /// The names of its maps, in the object's order; those that hold global variables are called `.rodata`, `.bss`, ….
  public var mapNames: [String] { maps.map(Self.name(ofMap:)) }
}

// MARK: - Before loading

extension OpenObject {
  /// Gives the global variable `name` its value: a `const volatile` one, which the verifier then takes for a constant,
  /// or the initial value of another.
  ///
  /// Throws ``BPFError/Kind-swift.struct/notFound`` if there is none of that name, and
  /// ``BPFError/Kind-swift.struct/layout`` if `Value` is not as long as it.
  public borrowing func setConstant<Value: BitwiseCopyable>(_ name: String, to value: Value) throws(BPFError) {
    let variables = GlobalVariable.all(in: pointer)
    guard let variable = variables.first(where: { $0.name == name }) else {
      throw notFound("constant", name, among: variables.map(\.name), operation: "set")
    }
    guard variable.size == MemoryLayout<Value>.size else {
      throw BPFError(
        .layout, operation: "set", object: "constant \(name) of \(self.name)",
        hint: "it has \(variable.size) bytes and \(Value.self) has \(MemoryLayout<Value>.size)")
    }
    guard let memory = variable.memory(in: pointer) else {
      throw BPFError(
        .notFound, operation: "set", object: "constant \(name) of \(self.name)",
        hint: "section \(variable.section) has no memory")
    }
    memory.storeBytes(of: value, as: Value.self)
  }

  /// Sets the most entries that map `name` takes; of a ring buffer, its bytes.
  ///
  /// The corresponding C function is `bpf_map__set_max_entries`.
  public borrowing func resize(map name: String, to entries: UInt32) throws(BPFError) {
    try change(map: name, "resize") { bpf_map__set_max_entries($0, entries) }
  }

  /// Loads only the programs named; by default it loads all.
  ///
  /// The corresponding C function is `bpf_program__set_autoload`.
  public borrowing func select(programs names: [String]) throws(BPFError) {
    for name in names { _ = try program(named: name, operation: "select") }
    for program in programs { bpf_program__set_autoload(program, names.contains(Self.name(ofProgram: program))) }
  }

  /// Sets what kind of program `name` is, where its section does not say: types that are newer than libbpf.
  ///
  /// The corresponding C functions are `bpf_program__set_type` and `bpf_program__set_expected_attach_type`.
  public borrowing func setType(
    ofProgram name: String, to type: ProgramType, expectedAttachType: UInt32 = 0
  ) throws(BPFError) {
    let program = try program(named: name, operation: "set type of")
    let failures = [
      bpf_program__set_type(program, bpf_prog_type(rawValue: type.rawValue)),
      bpf_program__set_expected_attach_type(program, bpf_attach_type(rawValue: expectedAttachType)),
    ]
    if let error = failures.first(where: { $0 != 0 }) {
      throw BPFError(errno: error, operation: "set type of", object: "program \(name)")
    }
  }

  /// Makes maps like `template` the inner maps that map-in-map `name` takes.
  ///
  /// The corresponding C function is `bpf_map__set_inner_map_fd`.
  public mutating func setInnerMap(
    of name: String, template: borrowing FileDescriptor
  ) throws(BPFError) {
    let copy = DescriptorBox(try template.duplicate())
    try change(map: name, "set inner map of") { bpf_map__set_inner_map_fd($0, copy.descriptor.rawValue) }
    templates.append(copy)
  }

  /// Pins map `name` at `path` when the object is loaded. A map that is pinned there already is used instead of a new
  /// one, provided that it was declared alike: ``load()`` throws ``BPFError/Kind-swift.struct/layout`` otherwise.
  ///
  /// The corresponding C function is `bpf_map__set_pin_path`.
  public borrowing func pin(map name: String, at path: String) throws(BPFError) {
    try change(map: name, "set pin path of") { bpf_map__set_pin_path($0, path) }
  }

  /// Uses an existing map in place of a new map `name`.
  ///
  /// Throws ``BPFError/Kind-swift.struct/layout`` with each difference named unless type, sizes, flags and, where both
  /// have type information, the members of key and value are the same.
  ///
  /// The corresponding C function is `bpf_map__reuse_fd`.
  public borrowing func reuse(map name: String, descriptor: borrowing FileDescriptor) throws(BPFError) {
    let map = try map(named: name, operation: "reuse")
    try MapDeclaration(map, of: pointer).check(descriptor, name: name)
    let error = bpf_map__reuse_fd(map, descriptor.rawValue)
    guard error == 0 else { throw BPFError(errno: error, operation: "reuse", object: "map \(name)") }
  }
}

// MARK: - Loading

extension OpenObject {
  /// Creates the maps and loads the programs.
  ///
  /// On failure nothing of it stays in the kernel. Throws ``BPFError/Kind-swift.struct/rejected`` with the complete
  /// log if the verifier refuses a program.
  ///
  /// The corresponding C function is `bpf_object__load`. It asks the verifier for a log only after a failure.
  public consuming func load() throws(BPFError) -> Object {
    try checkPinnedMaps()
    let buffer = VerifierBuffer()
    for program in programs { buffer.use(for: program) }
    let (error, log) = capturingLog { bpf_object__load(pointer) }
    guard error == 0 else { throw loadError(error, log: log, verifier: buffer.text) }
    return try Object(loaded: self)
  }

  /// libbpf compares the sizes of a pinned map, but neither its members nor can it say what differs.
  private borrowing func checkPinnedMaps() throws(BPFError) {
    for map in maps {
      guard let path = bpf_map__pin_path(map).map({ String(cString: $0) }), access(path, F_OK) == 0 else { continue }
      let declaration = MapDeclaration(map, of: pointer)
      try declaration.check(try BPFFileSystem.open(path), name: "\(Self.name(ofMap: map)) at \(path)")
    }
  }

  private borrowing func loadError(_ error: Int32, log: String, verifier: String) -> BPFError {
    let program = Self.quoted(after: "prog '", in: log, before: "': BPF program load failed")
    let text = verifier.isEmpty ? log : log + VerifierLog.framed(verifier, program: program ?? name)
    let culprit = program.map { "program \($0)" } ?? Self.quoted(after: "map '", in: log).map { "map \($0)" }
    var failure = BPFError(
      errno: error, operation: "load", object: culprit.map { "\($0) of \(name)" } ?? name,
      log: VerifierLog(text: text))
    if !verifier.isEmpty, failure.log?.excerpt.isEmpty == false { failure.kind = .rejected }
    return failure
  }

  /// The name that libbpf's message puts in quotation marks.
  private static func quoted(after start: String, in log: String, before end: String = "'") -> String? {
    for line in log.split(separator: "\n") {
      guard let first = line.firstRange(of: start) else { continue }
      let rest = line[first.upperBound...]
      if let last = rest.firstRange(of: end) { return String(rest[..<last.lowerBound]) }
    }
    return nil
  }
}

// MARK: - libbpf's lists

extension OpenObject {
  var programs: [OpaquePointer] { all { [pointer] in bpf_object__next_program(pointer, $0) } }

  var maps: [OpaquePointer] { all { [pointer] in bpf_object__next_map(pointer, $0) } }

  private borrowing func all(after next: (OpaquePointer?) -> OpaquePointer?) -> [OpaquePointer] {
    var found: [OpaquePointer] = []
    while let item = next(found.last) { found.append(item) }
    return found
  }

  static func name(ofProgram program: OpaquePointer) -> String { String(cString: bpf_program__name(program)) }

  /// The declared name, or the section of a map that holds global variables: libbpf puts a part of the object's name
  /// before that.
  static func name(ofMap map: OpaquePointer) -> String {
    let name = String(cString: bpf_map__name(map))
    guard bpf_map__is_internal(map), let dot = name.firstIndex(of: ".") else { return name }
    return String(name[dot...])
  }

  private borrowing func map(named name: String, operation: String) throws(BPFError) -> OpaquePointer {
    if let map = maps.first(where: { Self.name(ofMap: $0) == name }) { return map }
    throw notFound("map", name, among: mapNames, operation: operation)
  }

  private borrowing func program(named name: String, operation: String) throws(BPFError) -> OpaquePointer {
    if let program = programs.first(where: { Self.name(ofProgram: $0) == name }) { return program }
    throw notFound("program", name, among: programNames, operation: operation)
  }

  private borrowing func change(
    map name: String, _ operation: String, by call: (OpaquePointer) -> Int32
  ) throws(BPFError) {
    let error = call(try map(named: name, operation: operation))
    guard error == 0 else { throw BPFError(errno: error, operation: operation, object: "map \(name)") }
  }

  private borrowing func notFound(
    _ what: String, _ name: String, among names: [String], operation: String
  ) -> BPFError {
    let known = names.isEmpty ? "it has none" : "it has \(names.joined(separator: ", "))"
    return BPFError(.notFound, operation: operation, object: "\(what) \(name) of \(self.name)", hint: known)
  }

  private static func decode(_ text: StaticString) -> [UInt8]? {
    func digit(_ character: UInt8) -> UInt8? {
      switch character {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
      default: nil
      }
    }
    return text.withUTF8Buffer { digits in
      guard digits.count.isMultiple(of: 2) else { return nil }
      var bytes: [UInt8] = []
      bytes.reserveCapacity(digits.count / 2)
      for index in stride(from: 0, to: digits.count, by: 2) {
        guard let high = digit(digits[index]), let low = digit(digits[index + 1]) else { return nil }
        bytes.append(high << 4 | low)
      }
      return bytes
    }
  }
}
