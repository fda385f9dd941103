extension BPFError {
  /// This error, telling how far the batch got before the element that failed.
  func inBatch(done: Int, of total: Int) -> BPFError {
    var error = self
    let progress = "\(done) of \(total) entries were done before"
    error.hint = hint.map { "\(progress); \($0)" } ?? progress
    return error
  }
}
