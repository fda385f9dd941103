import BPF

/// A model and a subject that are to answer alike.
public struct MapPair<Model: MapStorage & ~Copyable, Subject: MapStorage & ~Copyable>: ~Copyable
where Model.Key == Subject.Key, Model.Value == Subject.Value {
  private let model: Model
  private let subject: Subject
  private let keys: [Model.Key]
  private let values: [Model.Value]

  /// Two fresh storages, and what the numbers in ``MapAction`` stand for.
  public init(
    _ model: consuming Model, _ subject: consuming Subject, keys: [Model.Key], values: [Model.Value]
  ) {
    self.model = model
    self.subject = subject
    self.keys = keys
    self.values = values
  }

  /// Runs `actions` on both; returns the first difference. All pairs are compared at the end in any case.
  public borrowing func compare(_ actions: [MapAction]) -> LockStep<MapAction>.Difference? {
    for (index, action) in (actions + [.contents]).enumerated() {
      let expected = perform(action, on: model)
      let actual = perform(action, on: subject)
      guard expected != actual else { continue }
      let position = min(index, actions.count - 1)
      return .init(index: position, description: "\(action) gave \(actual.difference(from: expected))")
    }
    return nil
  }

  private borrowing func perform<Storage: MapStorage<Model.Key, Model.Value> & ~Copyable>(
    _ action: MapAction, on storage: borrowing Storage
  ) -> MapOutcome {
    MapOutcome { () throws(BPFError) in
      switch action {
      case .get(let key): return .value(try storage.get(keys[key]).map { ByteString($0) })
      case .update(let key, let value, let mode):
        try storage.update(keys[key], values[value], mode: mode)
        return .done
      case .remove(let key): return .removed(try storage.remove(keys[key]))
      case .take(let key): return .value(try storage.take(keys[key]).map { ByteString($0) })
      case .updateBatch(let chosen, let stored, let mode):
        try storage.update(keys: chosen.map { keys[$0] }, values: stored.map { values[$0] }, mode: mode)
        return .done
      case .removeBatch(let chosen): return .count(try storage.remove(keys: chosen.map { keys[$0] }))
      case .contents: return try contents(storage)
      }
    }
  }

  private borrowing func contents<Storage: MapStorage & ~Copyable>(
    _ storage: borrowing Storage
  ) throws(BPFError) -> MapOutcome {
    var pairs: [ByteString: ByteString] = [:]
    var repeated: ByteString?
    try storage.forEach { (key, value) throws(BPFError) in
      if pairs.updateValue(ByteString(value), forKey: ByteString(key)) != nil { repeated = ByteString(key) }
    }
    return repeated.map { .repeated($0) } ?? .contents(pairs)
  }
}
