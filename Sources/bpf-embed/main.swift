// Compiles one BPF object and writes a Swift file with its bytes.
//
// usage: bpf-embed NAME OBJECT OUTPUT.swift COMPILER ARGUMENT...
//
// A hexadecimal StaticString, because the compiler takes tenths of a second over one and tens of seconds over the
// same bytes as an array literal. Only Glibc is imported, so that the tool itself builds in a second.
@preconcurrency import Glibc

func fail(_ what: String) -> Never {
  fputs("bpf-embed: \(what): \(String(cString: strerror(errno)))\n", stderr)
  exit(1)
}

func run(_ arguments: ArraySlice<String>) {
  var process = pid_t()
  var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
  errno = posix_spawn(&process, argv[0]!, nil, nil, &argv, environ)
  guard errno == 0 else { fail(arguments.first ?? "compiler") }
  var status: Int32 = 0
  waitpid(process, &status, 0)
  guard status == 0 else { exit(1) }  // the compiler has said why
}

func contents(of path: String) -> [UInt8] {
  guard let file = fopen(path, "rb") else { fail(path) }
  defer { fclose(file) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 65536)
  while true {
    let count = fread(&buffer, 1, buffer.count, file)
    if count == 0 { return bytes }
    bytes += buffer[..<count]
  }
}

/// Swift's incremental build tells a changed input by its modification time in whole seconds, so two builds within a
/// second would keep the old object: step past the previous second.
func stepPast(_ previous: stat, _ path: String) {
  var now = timespec()
  clock_gettime(CLOCK_REALTIME, &now)
  guard now.tv_sec <= previous.st_mtim.tv_sec else { return }
  now = timespec(tv_sec: previous.st_mtim.tv_sec + 1, tv_nsec: 0)
  utimensat(AT_FDCWD, path, [now, now], 0)
}

guard CommandLine.arguments.count > 5 else {
  fputs("usage: bpf-embed NAME OBJECT OUTPUT.swift COMPILER ARGUMENT...\n", stderr)
  exit(2)
}
let (name, object, output) = (CommandLine.arguments[1], CommandLine.arguments[2], CommandLine.arguments[3])
run(CommandLine.arguments[4...])

let digits = Array("0123456789abcdef".utf8)
let hex = contents(of: object).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
let text = """
  extension BPFPrograms {
    /// `\(name).bpf.c`, compiled; two hexadecimal digits a byte.
    public static var \(name): StaticString { "\(String(decoding: hex, as: UTF8.self))" }
  }

  """

var previous = stat()
let existed = stat(output, &previous) == 0
guard let file = fopen(output, "wb") else { fail(output) }
fputs(text, file)
fclose(file)
if existed { stepPast(previous, output) }
