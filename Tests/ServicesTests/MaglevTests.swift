import MartletNetworking
import Testing

@testable import MartletServices

@Suite struct MaglevTests {
  private func backends(_ count: Int) -> [Backend] {
    (0..<count).map { Backend(address: IPAddress(ipv4: 0x0a00_0000 + UInt32($0)), port: 8080, isLocal: $0 % 7 == 0) }
  }

  @Test(arguments: [(1, 251), (10, 1021), (100, 16_381), (300, 65_537)])
  func `Shares differ by at most one slot`(count: Int, size: Int) throws {
    let table = try #require(Maglev(size: size)).table(for: backends(count))
    let shares = Dictionary(grouping: table, by: \.self).mapValues(\.count)
    #expect(table.count == size)
    #expect(shares.count == count)
    let (least, most) = try (#require(shares.values.min()), #require(shares.values.max()))
    #expect(most - least <= 1)
  }

  @Test func `More backends than slots give one slot each to as many as there are`() throws {
    let table = try #require(Maglev(size: 7)).table(for: backends(20))
    #expect(Set(table).count == 7)
  }

  @Test func `Shares follow the weights`() throws {
    let all = backends(3)
    let weighted = [all[0], all[1], all[1], all[2], all[2], all[2], all[2], all[2]].sorted()
    let table = try #require(Maglev(size: 16_381)).table(for: weighted)
    let shares = Dictionary(grouping: table) { weighted[Int($0)] }.mapValues(\.count)
    for (backend, weight) in zip(all, [1, 2, 5]) {
      #expect(abs((shares[backend] ?? 0) * 8 - 16_381 * weight) <= 8 * weight, "\(backend)")
    }
  }

  /// The paper's figure 12: with 65,537 slots for 1,000 backends, a failing one moves about 1 to 2 % of the slots that
  /// should have stayed. Here a hundred slots for each backend, over twenty failures.
  @Test func `Losing one of a hundred backends moves few of the other slots`() throws {
    let all = backends(100)
    let maglev = try #require(Maglev(size: 10_007))
    let before = maglev.table(for: all)
    var moved = 0
    var stayed = 0
    for lost in 0..<20 {
      let remaining = all.indices.filter { $0 != lost }
      let after = maglev.table(for: remaining.map { all[$0] })
      for slot in before.indices where before[slot] != UInt32(lost) {
        if all[Int(before[slot])] == all[remaining[Int(after[slot])]] { stayed += 1 } else { moved += 1 }
      }
    }
    let disruption = Double(moved) / Double(moved + stayed)
    print("Maglev, 10,007 slots, 100 backends less one: \(disruption * 100) % of the other slots move")
    #expect(disruption < 0.02)
  }

  @Test func `Every node builds the same table, whichever backends are local to it`() throws {
    let maglev = try #require(Maglev(size: 1021))
    let here = backends(30)
    let there = here.map { Backend(address: $0.address, port: $0.port, isLocal: !$0.isLocal) }.sorted()
    let chosenHere = maglev.table(for: here.sorted()).map { here.sorted()[Int($0)].endpoint }
    let chosenThere = maglev.table(for: there).map { there[Int($0)].endpoint }
    #expect(chosenHere == chosenThere)
  }

  /// Tables must agree between versions of the agent that run side by side during an upgrade.
  @Test func `The table of known backends is the table it has always been`() throws {
    let backends = (["10.0.0.1", "10.0.0.2", "fd00::3"] as [IPAddress]).map {
      Backend(address: $0, port: 80, isLocal: false)
    }
    let table = try #require(Maglev(size: 13)).table(for: backends)
    #expect(table == [1, 0, 1, 0, 1, 0, 2, 2, 2, 0, 2, 1, 0])
  }

  @Test(arguments: [-1, 0, 1, 2, 4, 1000, 65_536])
  func `A size that is no prime is refused`(size: Int) {
    #expect(Maglev(size: size) == nil)
  }
}
