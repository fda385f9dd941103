import BPF

extension MapConformance where Storage: ~Copyable {
  func missingKeyIsNil(_ storage: borrowing Storage, _ verdict: Verdict) throws {
    try verdict.expect(holds(storage, 0, nil), "get of an empty table returned a value")
    try verdict.expect(!storage.remove(key(0)), "remove returned true")
    try verdict.expect(storage.take(key(0)) == nil, "take returned a value")
  }

  func setStoresAndReplaces(_ storage: borrowing Storage, _ verdict: Verdict) throws {
    try storage.set(key(0), value(0))
    try verdict.expect(holds(storage, 0, 0), "the value stored first is not there")
    try storage.set(key(0), value(1))
    try verdict.expect(holds(storage, 0, 1), "the value was not replaced")
    try verdict.expect(holds(storage, 1, nil), "another key is there as well")
  }

  func insertRefusesPresentKey(_ storage: borrowing Storage, _ verdict: Verdict) throws {
    try storage.insert(key(0), value(0))
    try verdict.expect(.exists, from: "the second insert") { () throws(BPFError) in
      try storage.insert(key(0), value(1))
    }
    try verdict.expect(holds(storage, 0, 0), "the refused insert changed the value")
  }

  func replaceRefusesAbsentKey(_ storage: borrowing Storage, _ verdict: Verdict) throws {
    try verdict.expect(.notFound, from: "replace of an absent key") { () throws(BPFError) in
      try storage.replace(key(0), value(0))
    }
    try verdict.expect(holds(storage, 0, nil), "the refused replace stored the value")
    try storage.set(key(0), value(0))
    try storage.replace(key(0), value(1))
    try verdict.expect(holds(storage, 0, 1), "replace of a present key did not")
  }

  func removeTellsWhetherItWasThere(_ storage: borrowing Storage, _ verdict: Verdict) throws {
    try storage.set(key(0), value(0))
    try storage.set(key(1), value(1))
    try verdict.expect(storage.remove(key(0)), "remove of a present key returned false")
    try verdict.expect(!storage.remove(key(0)), "remove of an absent key returned true")
    try verdict.expect(holds(storage, 0, nil), "the key is still there")
    try verdict.expect(holds(storage, 1, 1), "another key went as well")
  }

  func takeReturnsWhatItRemoves(_ storage: borrowing Storage, _ verdict: Verdict) throws {
    try storage.set(key(0), value(7))
    let taken = try storage.take(key(0)).map { ByteString($0) }
    try verdict.expect(taken == ByteString(value(7)), "take returned \(taken?.description ?? "nil")")
    try verdict.expect(holds(storage, 0, nil), "the key is still there")
  }

  func fullRefusesNewKeys(_ storage: borrowing Storage, _ verdict: Verdict) throws {
    try fill(storage, 16)
    for mode in [UpdateMode.set, .insert] {
      try verdict.expect(.full, from: "\(mode) of key 17 of 16") { () throws(BPFError) in
        try storage.update(key(16), value(16), mode: mode)
      }
    }
    try verdict.expect(holds(storage, 16, nil), "the refused key is there")
    try verdict.expect(.notFound, from: "replace of an absent key in a full table") { () throws(BPFError) in
      try storage.replace(key(16), value(16))
    }
  }

  func fullStillReplaces(_ storage: borrowing Storage, _ verdict: Verdict) throws {
    try fill(storage, 16)
    for index in 0..<16 { try storage.set(key(index), value(index + 100)) }
    for index in 0..<16 { try verdict.expect(holds(storage, index, index + 100), "key \(index) was not replaced") }
    try verdict.expect(.exists, from: "insert of a present key in a full table") { () throws(BPFError) in
      try storage.insert(key(3), value(3))
    }
  }

  func removalMakesRoom(_ storage: borrowing Storage, _ verdict: Verdict) throws {
    try fill(storage, 16)
    try storage.remove(key(5))
    try storage.insert(key(16), value(16))
    try verdict.expect(holds(storage, 16, 16), "the new key is not there")
  }

  func newestSurvivesEviction(_ storage: borrowing Storage, _ verdict: Verdict) throws {
    for index in 0..<4_096 {
      try storage.set(key(index), value(index))
      try verdict.expect(holds(storage, index, index), "key \(index) was dropped by its own update")
    }
    var count = 0
    var wrong: Int?
    try storage.forEach { (_, _) throws(BPFError) in count += 1 }
    for index in 0..<4_096 {
      let bytes = try storage.get(key(index)).map { ByteString($0) }
      if bytes != nil && bytes != ByteString(value(index)) { wrong = index }
    }
    try verdict.expect(wrong == nil, "key \(wrong ?? 0) holds another key's value")
    try verdict.expect((1...1_024).contains(count), "\(count) entries in a table of 1024")
  }

  func batchStoresAll(_ storage: borrowing Storage, _ verdict: Verdict) throws {
    let numbers = 0..<(behaviour == .lruHash ? 500 : 1_000)
    try storage.update(keys: numbers.map(key), values: numbers.map(value), mode: .set)
    for index in numbers { try verdict.expect(holds(storage, index, index), "key \(index) is not there") }
    try storage.update(keys: [key(1), key(2)], values: [value(5), value(6)], mode: .set)
    try verdict.expect(holds(storage, 1, 5) && holds(storage, 2, 6), "a batch did not replace")
  }

  func batchObeysMode(_ storage: borrowing Storage, _ verdict: Verdict) throws {
    try storage.update(keys: [key(0), key(1)], values: [value(0), value(1)], mode: .insert)
    try verdict.expect(.exists, from: "a batch insert with a present key") { () throws(BPFError) in
      try storage.update(keys: [key(2), key(1), key(3)], values: [value(2), value(9), value(3)], mode: .insert)
    }
    try verdict.expect(holds(storage, 2, 2), "the pair before the refused one is not there")
    try verdict.expect(holds(storage, 1, 1), "the refused pair was stored")
    try verdict.expect(holds(storage, 3, nil), "the pair after the refused one is there")
    try verdict.expect(.notFound, from: "a batch replace with an absent key") { () throws(BPFError) in
      try storage.update(keys: [key(0), key(4)], values: [value(8), value(4)], mode: .replace)
    }
    try verdict.expect(holds(storage, 0, 8), "the pair before the refused one was not replaced")
  }

  func batchStopsWhereItFails(_ storage: borrowing Storage, _ verdict: Verdict) throws {
    let numbers = 0..<12
    var failure: BPFError?
    do throws(BPFError) {
      try storage.update(keys: numbers.map(key), values: numbers.map(value), mode: .set)
    } catch {
      failure = error
    }
    try verdict.expect(failure?.kind == .full, "12 pairs into a table of 8: \(failure?.description ?? "no error")")
    let tells = failure?.hint?.contains("8 of 12") == true
    try verdict.expect(tells, "the hint does not say 8 of 12: \(failure?.hint ?? "none")")
    for index in numbers {
      try verdict.expect(holds(storage, index, index < 8 ? index : nil), "key \(index) is on the wrong side")
    }
  }

  func batchRemovalSkipsAbsentKeys(_ storage: borrowing Storage, _ verdict: Verdict) throws {
    try fill(storage, 10)
    let removed = try storage.remove(keys: [11, 0, 12, 13, 1, 2, 0, 14].map(key))
    try verdict.expect(removed == 3, "it counted \(removed) of 3")
    for index in 0..<10 {
      try verdict.expect(holds(storage, index, index < 3 ? nil : index), "key \(index) is wrong")
    }
  }

  func emptyBatchDoesNothing(_ storage: borrowing Storage, _ verdict: Verdict) throws {
    try storage.update(keys: [], values: [], mode: .set)
    try verdict.expect(storage.remove(keys: []) == 0, "it counted removals")
  }

  func iterationSeesEachPairOnce(_ storage: borrowing Storage, _ verdict: Verdict) throws {
    let count = behaviour == .lruHash ? 5_000 : 10_000
    try fill(storage, count)
    let seen = try visits(storage)
    for index in 0..<count {
      let times = seen[ByteString(key(index))] ?? 0
      try verdict.expect(times == 1, "key \(index) was seen \(times) times")
    }
    try verdict.expect(seen.count == count, "\(seen.count) keys were seen, \(count) are there")
  }

  func iterationSurvivesRemoval(_ storage: borrowing Storage, _ verdict: Verdict) throws {
    let count = behaviour == .lruHash ? 5_000 : 10_000
    try fill(storage, count)
    // Two of three keys go, those just seen among them: wherever a cursor rests, it is likely to lose its entry.
    let leaving = Set((0..<count).filter { $0 % 3 != 0 }.map { ByteString(key($0)) })
    var seen: [ByteString: Int] = [:]
    try storage.forEach { (key, _) throws(BPFError) in
      seen[ByteString(key), default: 0] += 1
      if leaving.contains(ByteString(key)) { try storage.remove(key) }
    }
    for index in 0..<count {
      let times = seen[ByteString(key(index))] ?? 0
      let stays = !leaving.contains(ByteString(key(index)))
      try verdict.expect(stays ? times == 1 : times <= 1, "key \(index) was seen \(times) times")
    }
    let left = try visits(storage).count
    try verdict.expect(left == count - leaving.count, "\(left) keys are left of \(count - leaving.count)")
  }

  func iterationPassesErrorOn(_ storage: borrowing Storage, _ verdict: Verdict) throws {
    try fill(storage, 4)
    var calls = 0
    try verdict.expect(.busy, from: "forEach") { () throws(BPFError) in
      try storage.forEach { (_, _) throws(BPFError) in
        calls += 1
        throw BPFError(.busy, operation: "test", object: "body")
      }
    }
    try verdict.expect(calls == 1, "the body was called \(calls) times")
  }

  func arrayStartsWithZeros(_ storage: borrowing Storage, _ verdict: Verdict) throws {
    for index in 0..<4 {
      let bytes = try storage.get(key(index)).map { ByteString($0).bytes }
      try verdict.expect(bytes?.allSatisfy { $0 == 0 } == true, "index \(index) holds \(bytes ?? [])")
    }
    try verdict.expect(visits(storage).count == 4, "iteration does not see all indexes")
  }

  func arrayHasFixedIndexes(_ storage: borrowing Storage, _ verdict: Verdict) throws {
    try verdict.expect(holds(storage, 4, nil), "there is an index beyond the end")
    try verdict.expect(.full, from: "set beyond the end") { () throws(BPFError) in
      try storage.set(key(4), value(4))
    }
    try verdict.expect(.exists, from: "insert") { () throws(BPFError) in try storage.insert(key(0), value(1)) }
    try verdict.expect(.invalid, from: "remove") { () throws(BPFError) in try storage.remove(key(0)) }
    try verdict.expect(.unsupported, from: "take") { () throws(BPFError) in _ = try storage.take(key(0)) }
    try storage.replace(key(0), value(3))
    try verdict.expect(holds(storage, 0, 3), "replace did not store")
  }

  private func fill(_ storage: borrowing Storage, _ count: Int) throws {
    try storage.update(keys: (0..<count).map(key), values: (0..<count).map(value), mode: .set)
  }

  /// Whether `storage` holds value number `expected` under key number `index`; `nil`: nothing.
  private func holds(_ storage: borrowing Storage, _ index: Int, _ expected: Int?) throws -> Bool {
    try storage.get(key(index)).map { ByteString($0) } == expected.map { ByteString(value($0)) }
  }

  /// How often iteration hands each key over.
  private func visits(_ storage: borrowing Storage) throws -> [ByteString: Int] {
    var seen: [ByteString: Int] = [:]
    try storage.forEach { (key, _) throws(BPFError) in seen[ByteString(key), default: 0] += 1 }
    return seen
  }
}
