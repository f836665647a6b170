import TestSupport
import Testing

@testable import BackupPolicy

@Suite("Writers of a target")
struct WriterLineTests {
  private static func record(
    _ epoch: Int, base: Int64, _ reason: WriterRecord.Reason = .start, nonce: UInt64? = nil, isAuthentic: Bool = true
  ) -> WriterRecord {
    WriterRecord(
      WriterName(epoch: epoch, nonce: nonce)!, baseSequence: base, reason: reason, host: "web-\(epoch)",
      started: RetentionHistory.now, isAuthentic: isAuthentic)
  }

  /// An incremental of the chain 0.
  private static func name(_ sequence: Int64, epoch: Int, number: Int? = nil) -> RemoteName {
    RemoteName(
      chain: 0, sequence: sequence, parent: 0, epoch: epoch, bytes: 1, hash: 1,
      archive: ArchiveName(id: id(number ?? Int(sequence)), content: .pages, compressed: true, encrypted: true))!
  }

  private static func id(_ number: Int) -> PointID { RetentionHistory.id(number) }

  private static func facts(
    _ records: [WriterRecord], _ remote: [RemoteName], stored: ClosedRange<Int64>
  ) -> WriterFacts {
    let ids = Dictionary(uniqueKeysWithValues: stored.map { ($0, id(Int($0))) })
    return WriterFacts(WriterLine(records), remote: remote, stored: ids, newestSequence: stored.upperBound)
  }

  @Test("A backup counts unless a later writer did not know it")
  func superseded() {
    let line = WriterLine([Self.record(1, base: 0), Self.record(2, base: 10), Self.record(3, base: 8)])
    #expect(line.supersedes(epoch: 1, sequence: 8) == nil)
    #expect(line.supersedes(epoch: 1, sequence: 9)?.epoch == 3)
    #expect(line.supersedes(epoch: 2, sequence: 11)?.epoch == 3)
    #expect(line.supersedes(epoch: 3, sequence: 1000) == nil)
    #expect(WriterLine().supersedes(epoch: 0, sequence: 1) == nil)
  }

  @Test("The answer is the same as that of the definition")
  func definition() {
    var random = SeededGenerator(seed: 3)
    for _ in 0..<500 {
      let records = (1...Int.random(in: 1...8, using: &random)).map {
        Self.record($0, base: Int64.random(in: 0...20, using: &random), isAuthentic: !random.chance(4))
      }
      let line = WriterLine(records.shuffled(using: &random))
      for epoch in 0...9 {
        for sequence in Int64(0)...21 {
          let excluded = records.contains { $0.isAuthentic && $0.epoch > epoch && $0.baseSequence < sequence }
          guard (line.supersedes(epoch: epoch, sequence: sequence) != nil) != excluded else { continue }
          Issue.record("epoch \(epoch), sequence \(sequence) of \(records)")
          return
        }
      }
    }
  }

  @Test("A record with a wrong MAC has no effect, and its number is not used again")
  func forged() {
    let line = WriterLine([Self.record(1, base: 5), Self.record(2, base: 0, isAuthentic: false)])
    #expect(line.supersedes(epoch: 1, sequence: 6) == nil)
    #expect(line.newest?.epoch == 1)
    #expect(line.next() == 3)
    #expect(line.next(after: 3) == 4)
    #expect(WriterLine().next() == 1)
    #expect(WriterLine([Self.record(999_999, base: 0)]).next() == nil)
  }

  @Test("Of two records with one number the smaller nonce stays, in any order")
  func nonces() {
    let records = [Self.record(4, base: 3, nonce: 9), Self.record(4, base: 7, nonce: 2)]
    for records in [records, records.reversed()] {
      let line = WriterLine(records)
      #expect(line.newest?.baseSequence == 7)
      #expect(line.stays(records.first { $0.name.nonce == 2 }!.name))
      #expect(!line.stays(records.first { $0.name.nonce == 9 }!.name))
    }
  }

  @Test("An agent that knows all backups in the target writes without a question")
  func ordinary() {
    let facts = Self.facts([Self.record(1, base: 0)], (1...9).map { Self.name($0, epoch: 1) }, stored: 5...9)
    #expect(WriterPolicy.begin(facts) == .claim(epoch: 2, baseSequence: 9, .start))
  }

  @Test("A repository that was rolled back does not write, and the refusal names the other writer")
  func rolledBack() throws {
    let facts = Self.facts([Self.record(1, base: 0)], (1...9).map { Self.name($0, epoch: 1) }, stored: 1...6)
    let foreign = try #require(WriterPolicy.foreign(facts))
    #expect(WriterPolicy.begin(facts) == .refuse(foreign))
    #expect(foreign.sequences == 7...9)
    #expect(foreign.count == 3)
    #expect(
      foreign.text == "it holds backups 7 to 9, which this repository never stored, written by web-1 since "
        + "2023-11-16T12:00:00.000Z: another machine guards a copy of the database, or this one was rolled back")
  }

  @Test("Another backup with one of our sequences is foreign, until a take-over settles it")
  func copied() {
    var remote = (1...5).map { Self.name($0, epoch: 1) }
    remote.append(Self.name(5, epoch: 2, number: 50))
    var records = [Self.record(1, base: 0), Self.record(2, base: 4)]
    #expect(WriterPolicy.foreign(Self.facts(records, remote, stored: 1...8))?.sequences == 5...5)
    guard case .claim(3, 8, .takeOver) = WriterPolicy.takeOver(Self.facts(records, remote, stored: 1...8)) else {
      Issue.record("no take-over")
      return
    }
    records.append(Self.record(3, base: 8, .takeOver))
    #expect(WriterPolicy.begin(Self.facts(records, remote, stored: 1...8)) == .claim(epoch: 4, baseSequence: 8, .start))
  }

  @Test("A take-over continues after all that the target holds, and late backups of the other machine do not count")
  func takeOver() {
    let records = [Self.record(1, base: 0), Self.record(2, base: 6)]
    var remote = (1...6).map { Self.name($0, epoch: 1) } + (7...9).map { Self.name($0, epoch: 2, number: 100) }
    let decision = WriterPolicy.takeOver(Self.facts(records, remote, stored: 1...7))
    #expect(decision == .claim(epoch: 3, baseSequence: 9, .takeOver))
    remote.append(Self.name(10, epoch: 2))
    let line = WriterLine(records + [Self.record(3, base: 9, .takeOver)])
    #expect(remote.filter { !line.counts($0) }.map(\.sequence) == [10])
  }

  @Test("Names whose headers do not open with the key stop nobody")
  func unproved() {
    var facts = Self.facts([Self.record(1, base: 0)], [Self.name(999_999_999_999, epoch: 1)], stored: 1...6)
    #expect(WriterPolicy.foreign(facts) != nil)
    facts.unproved = Set(facts.remote)
    #expect(WriterPolicy.begin(facts) == .claim(epoch: 2, baseSequence: 6, .start))
    #expect(WriterPolicy.takeOver(facts) == .claim(epoch: 2, baseSequence: 6, .takeOver))
  }

  @Test("A look at the next record is good for a minute, and a look from the future for nothing")
  func looks() {
    let now = RetentionHistory.now
    #expect(WriterPolicy.mustLook(last: nil, now: now))
    #expect(!WriterPolicy.mustLook(last: now.adding(seconds: -60), now: now))
    #expect(WriterPolicy.mustLook(last: now.adding(seconds: -61), now: now))
    #expect(WriterPolicy.mustLook(last: now.adding(seconds: 1), now: now))
  }

  @Test("After half a day a look lists all newer records")
  func longPauses() {
    let now = RetentionHistory.now
    #expect(WriterPolicy.mustList(last: nil, now: now))
    #expect(!WriterPolicy.mustList(last: now.adding(seconds: -43_200), now: now))
    #expect(WriterPolicy.mustList(last: now.adding(seconds: -43_201), now: now))
    #expect(WriterPolicy.mustList(last: now.adding(seconds: 1), now: now))
  }

  @Test("A take-over after this machine's last record is another machine's")
  func takeOverByOther() throws {
    let line = WriterLine([Self.record(1, base: 0), Self.record(2, base: 5, .takeOver), Self.record(3, base: 6)])
    let facts = WriterFacts(line, remote: [], stored: [:], newestSequence: 5)
    func other(_ facts: WriterFacts, _ epoch: Int?, host: String = "elsewhere") -> WriterRecord? {
      WriterPolicy.takeOverByOther(facts, since: epoch.flatMap { WriterName(epoch: $0) }, host: host)
    }
    #expect(other(facts, 1)?.epoch == 2)
    for epoch in [2, 3, 4] { #expect(other(facts, epoch) == nil) }
    // A host that has lost its state knows only its name and its backups.
    #expect(other(facts, nil)?.epoch == 2)
    #expect(other(facts, nil, host: line.records[1].host) == nil)
    let none = WriterFacts(WriterLine([Self.record(5, base: 0)]), remote: [], stored: [:], newestSequence: 5)
    #expect(other(none, 1) == nil && other(none, nil) == nil)
  }

  @Test("A take-over is ours if we have the backups that follow it, also without a memory of it")
  func takeOverOfOurs() throws {
    let line = WriterLine([Self.record(1, base: 0), Self.record(2, base: 5, .takeOver)])
    let id = RetentionHistory.id(6)
    let archive = try #require(ArchiveName("\(id.text).db.gz.enc"))
    let name = try #require(
      RemoteName(chain: 6, sequence: 6, parent: nil, epoch: 2, bytes: 10, hash: 1, archive: archive))
    func other(_ stored: [Int64: PointID]) -> WriterRecord? {
      let facts = WriterFacts(line, remote: [name], stored: stored, newestSequence: 6)
      return WriterPolicy.takeOverByOther(facts, since: nil, host: "elsewhere")
    }
    #expect(other([6: id]) == nil)
    #expect(other([6: RetentionHistory.id(7)])?.epoch == 2 && other([:])?.epoch == 2)
  }

  @Test("Old records go, but not the newest two, take-overs, recent ones, and those with an effect")
  func removable() {
    func old(_ record: WriterRecord) -> WriterRecord {
      var record = record
      record.started = record.started.adding(seconds: -4 * 86400)
      return record
    }
    let records = [
      old(Self.record(1, base: 0)), old(Self.record(2, base: 3, .takeOver)), old(Self.record(3, base: 4)),
      Self.record(4, base: 5), old(Self.record(5, base: 6)), old(Self.record(6, base: 7)),
      old(Self.record(7, base: 8)),
    ]
    func epochs(_ remote: [RemoteName]) -> [Int] {
      WriterPolicy.removable(WriterLine(records), remote, now: RetentionHistory.now).map(\.epoch)
    }
    #expect(epochs([]) == [1, 3, 5])
    #expect(epochs([Self.name(4, epoch: 1), Self.name(8, epoch: 7)]) == [1, 3, 5])
    // Number 5 of the first writer does not count, because the third did not know it.
    #expect(epochs([Self.name(5, epoch: 2)]) == [1, 5])
  }

  @Test("Without the removable records, every archive counts as before")
  func removableChangesNothing() {
    var random = SeededGenerator(seed: 17)
    for _ in 0..<500 {
      let records = (1...Int.random(in: 2...9, using: &random)).map { epoch in
        var record = Self.record(
          epoch, base: Int64.random(in: 0...9, using: &random), Bool.random(using: &random) ? .start : .takeOver)
        record.started = record.started.adding(seconds: -Int64.random(in: 0...6, using: &random) * 86400)
        return record
      }
      let names = (0..<6).map { _ in
        Self.name(Int64.random(in: 1...10, using: &random), epoch: Int.random(in: 0...9, using: &random))
      }
      let line = WriterLine(records)
      let removed = Set(WriterPolicy.removable(line, names, now: RetentionHistory.now))
      let rest = WriterLine(records.filter { !removed.contains($0.name) })
      for name in names { #expect(line.counts(name) == rest.counts(name), "\(records), \(name.text)") }
      #expect(rest.newest == line.newest && rest.newestTakeOver == line.newestTakeOver)
    }
  }
}

@Suite("The inventory of a target")
struct RemoteInventoryTests {
  private static let now = RetentionHistory.now

  private static func name(_ sequence: Int64) -> RemoteName {
    RemoteName(
      chain: sequence, sequence: sequence, parent: nil, epoch: 1, bytes: 1, hash: 1,
      archive: ArchiveName(id: RetentionHistory.id(Int(sequence)), compressed: true, encrypted: true))!
  }

  private static func archive(_ sequence: Int64, put: Timestamp) -> RemoteArchive {
    RemoteArchive(name(sequence), Point(id: name(sequence).id, sequence: sequence, created: put), put: put)
  }

  @Test("A list takes nothing away that was put within the last hour")
  func absence() {
    var inventory = RemoteInventory()
    inventory.add(Self.archive(1, put: Self.now.adding(seconds: -3601)))
    inventory.add(Self.archive(2, put: Self.now.adding(seconds: -3600)))
    inventory.add(Self.archive(3, put: Self.now.adding(seconds: 7200)))
    let difference = inventory.reconcile([Self.name(4)], now: Self.now)
    #expect(difference.found == [Self.name(4)])
    #expect(difference.lost == [Self.name(1), Self.name(3)])
    #expect(Set(inventory.archives.keys) == [Self.name(2), Self.name(4)])
    #expect(inventory.archives[Self.name(4)]?.isProved == false)
  }

  @Test("A list brings back what was removed only after an hour")
  func removals() {
    var inventory = RemoteInventory()
    inventory.add(Self.archive(1, put: Self.now))
    inventory.remove(Self.name(1), at: Self.now)
    #expect(inventory.reconcile([Self.name(1)], now: Self.now.adding(seconds: 3600)).found.isEmpty)
    #expect(inventory.reconcile([Self.name(1)], now: Self.now.adding(seconds: 3601)).found == [Self.name(1)])
  }

  @Test("Facts of the repository are taken over, but not the damage of its archive")
  func updates() {
    var inventory = RemoteInventory()
    inventory.add(Self.archive(1, put: Self.now))
    var point = Point(id: Self.name(1).id, sequence: 1, created: Self.now, status: .failed, pinned: true)
    inventory.update([point])
    #expect(inventory.archives[Self.name(1)]?.point.pinned == true)
    #expect(inventory.archives[Self.name(1)]?.point.status == .completed)
    point.sequence = 2
    point.pinned = false
    inventory.update([point])
    #expect(inventory.archives[Self.name(1)]?.point.pinned == true)
  }
}
