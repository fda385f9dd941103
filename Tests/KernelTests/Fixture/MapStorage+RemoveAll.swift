import BPF

extension MapStorage where Self: ~Copyable {
  /// Removes every element.
  borrowing func removeAll() throws(BPFError) {
    var keys: [Key] = []
    try forEach { key, _ throws(BPFError) in keys.append(key) }
    for key in keys { try remove(key) }
  }
}
