import BPF
import Glibc

/// Calls `body`, a system call, until no signal interrupts it, and throws what it reports by a negative result and
/// `errno`.
@discardableResult
func systemCall<Result: SignedInteger>(
  _ operation: String, _ object: String, _ body: () -> Result
) throws(BPFError) -> Result {
  while true {
    let result = body()
    if result >= 0 { return result }
    let number = errno
    if number != EINTR { throw BPFError(errno: number, operation: operation, object: object) }
  }
}

/// Throws what a function of the C support reported: a negative result is an error number.
@discardableResult
func check(_ operation: String, _ object: String, _ result: Int32) throws(BPFError) -> Int32 {
  guard result < 0 else { return result }
  throw BPFError(errno: result, operation: operation, object: object)
}
