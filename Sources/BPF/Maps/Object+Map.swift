extension Object {
  /// A handle to the map `name`, checked against what its Swift type says.
  ///
  /// ```swift
  /// let frontends: HashMap<frontend_key, frontend> = try object.map("frontends")
  /// ```
  ///
  /// Throws `notFound`, naming the maps there are, or ``BPFError/Kind-swift.struct/layout``, naming each field that
  /// differs and any padding in the key. The handle is independent of the object.
  public borrowing func map<Map: KernelMap & ~Copyable>(
    _ name: String, as type: Map.Type = Map.self
  ) throws(BPFError) -> Map {
    try Map(mapDescriptor(named: name), name: name)
  }
}
