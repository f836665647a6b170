/// One agent start that writes to a target, as its writer record says.
package struct WriterRecord: Hashable, Sendable {
  package enum Reason: String, Hashable, Sendable {
    case start
    /// A person decided that this machine goes on, and that the others do not.
    case takeOver = "take_over"
  }

  package var name: WriterName
  /// The newest sequence that its writer knew when it began: newer ones are its own.
  package var baseSequence: Int64
  package var reason: Reason
  package var host: String
  package var started: Timestamp
  /// Whether its MAC is right, or the repository has no key for one. Without it, the record has no
  /// effect.
  package var isAuthentic: Bool

  package init(
    _ name: WriterName, baseSequence: Int64, reason: Reason = .start, host: String, started: Timestamp,
    isAuthentic: Bool = true
  ) {
    (self.name, self.baseSequence, self.reason) = (name, baseSequence, reason)
    (self.host, self.started, self.isAuthentic) = (host, started, isAuthentic)
  }

  package var epoch: Int { name.epoch }
}

/// The backups of a target that count, if several machines have written to it.
///
/// A backup counts unless a later writer record has a smaller base sequence: its writer did not
/// know the backup, so the history that it continued does not contain it. Such a backup is
/// superseded: it can be restored by its ID, but is never the latest one.
package struct WriterLine: Hashable, Sendable {
  /// The records that have an effect, the oldest first, one of each epoch.
  package let records: [WriterRecord]
  /// By position in `records`: the position of the smallest base sequence from there on.
  private let smallest: [Int]
  /// The epochs of all records, also of those without an effect.
  private let used: Set<Int>

  /// - Parameter records: in any order.
  package init(_ records: [WriterRecord] = []) {
    var byEpoch: [Int: WriterRecord] = [:]
    for record in records where record.isAuthentic {
      // Of two with one number the smaller nonce stays, whoever reads them.
      if let other = byEpoch[record.epoch], other.name.order < record.name.order { continue }
      byEpoch[record.epoch] = record
    }
    let sorted = byEpoch.values.sorted { $0.epoch < $1.epoch }
    var smallest = Array(sorted.indices)
    for position in sorted.indices.dropLast().reversed() {
      let later = smallest[position + 1]
      if sorted[later].baseSequence < sorted[position].baseSequence { smallest[position] = later }
    }
    (self.records, self.smallest, used) = (sorted, smallest, Set(records.map(\.epoch)))
  }

  package var newest: WriterRecord? { records.last }
  package var newestTakeOver: WriterRecord? { records.last { $0.reason == .takeOver } }

  /// The record that excludes a backup; nil if the backup counts.
  package func supersedes(epoch: Int, sequence: Int64) -> WriterRecord? {
    var (low, high) = (0, records.count)
    while low < high {
      let middle = (low + high) / 2
      if records[middle].epoch > epoch { high = middle } else { low = middle + 1 }
    }
    guard low < records.count else { return nil }
    let record = records[smallest[low]]
    return record.baseSequence < sequence ? record : nil
  }

  package func counts(_ name: RemoteName) -> Bool {
    supersedes(epoch: name.epoch, sequence: name.sequence) == nil
  }

  /// The number of the next record: the one to write at a start, and the one to look for while
  /// running. Numbers of records without an effect are skipped, so that a forged record stops
  /// nobody. Returns nil if all numbers are used.
  package func next(after epoch: Int? = nil) -> Int? {
    let first = (epoch ?? newest?.epoch ?? 0) + 1
    return (first...max(first, RemoteName.epochs.upperBound)).first {
      !used.contains($0) && RemoteName.epochs.contains($0)
    }
  }

  /// Whether a record that was written without a condition is the one of its epoch.
  package func stays(_ name: WriterName) -> Bool { records.contains { $0.name == name } }
}

extension WriterName {
  /// Records without a nonce were written under a condition, so they come first.
  fileprivate var order: (Int, UInt64) { nonce.map { (1, $0) } ?? (0, 0) }
}

/// The backups of a target that the repository never stored.
package struct ForeignBackups: Hashable, Sendable {
  package var sequences: ClosedRange<Int64>
  package var count: Int
  /// The record under which the newest of them was written, if it is known.
  package var writer: WriterRecord?

  /// Lower case, no full stop.
  package var text: String {
    let numbers =
      sequences.count == 1
      ? "backup \(sequences.lowerBound)" : "backups \(sequences.lowerBound) to \(sequences.upperBound)"
    let by = writer.map { ", written by \($0.host) since \($0.started.iso8601)" } ?? ""
    return "it holds \(numbers), which this repository never stored\(by): another machine guards a copy of the "
      + "database, or this one was rolled back"
  }
}

/// The facts for the decision whether a starting agent may write to a target.
package struct WriterFacts: Hashable, Sendable {
  package var line: WriterLine
  /// All archives in the target.
  package var remote: [RemoteName]
  /// Those whose header does not open with our key. Anyone can write names, so they prove nothing.
  package var unproved: Set<RemoteName> = []
  /// Those with an ID and a sequence of the repository that another machine made: copies of a machine
  /// may store their backups in the same second.
  package var others: Set<RemoteName> = []
  /// The backups in the repository by sequence.
  package var stored: [Int64: PointID]
  /// The newest sequence that the repository or the host's state ever used.
  package var newestSequence: Int64

  package init(_ line: WriterLine, remote: [RemoteName], stored: [Int64: PointID], newestSequence: Int64) {
    (self.line, self.remote, self.stored, self.newestSequence) = (line, remote, stored, newestSequence)
  }
}

/// Whether an agent may write to a target.
package enum WriterDecision: Hashable, Sendable {
  /// Write a record with this epoch and base sequence.
  case claim(epoch: Int, baseSequence: Int64, WriterRecord.Reason)
  case refuse(ForeignBackups)
  /// No number is left for a record.
  case exhausted
}

/// Decides whether an agent may write to a target, without clocks, identities or leases.
package enum WriterPolicy {
  /// Seconds after which the look for newer records lists them all: the next one may be removed, see
  /// ``removable(_:_:now:)``.
  package static let listAge: Int64 = 12 * 3600
  /// Seconds for which every record stays. It is larger than ``listAge`` by more than the clocks of
  /// two machines differ.
  package static let recordAge: Int64 = 3 * 86400
  /// Seconds for which a look at the next writer record is good enough.
  package static let lookAge: Int64 = 60

  /// The decision at a start.
  package static func begin(_ facts: WriterFacts) -> WriterDecision {
    if let foreign = foreign(facts) { return .refuse(foreign) }
    guard let epoch = facts.line.next() else { return .exhausted }
    return .claim(epoch: epoch, baseSequence: facts.newestSequence, .start)
  }

  /// The number of a record of a writer that cannot read the target: the hours since 2020, UTC. So it
  /// comes behind the records of earlier starts also if this host has forgotten them, and no backup of
  /// this writer is superseded by one of those. Starts within an hour share a number.
  ///
  /// - Parameter own: the number of this host's last record; nil if there was none.
  package static func blindEpoch(after own: Int?, now: Timestamp) -> Int {
    let hours = now.milliseconds.addingClamped(-1_577_836_800_000) / 3_600_000
    return max(own ?? 1, Int(min(max(hours, 1), latestBlindHour)))
  }

  /// In 2077. Larger numbers are left for writers that can read the target.
  private static let latestBlindHour: Int64 = 500_000

  /// The decision if a person lets this machine go on. Its sequences continue after all that the
  /// target holds, and the first backup is a full, so that nothing of ours needs an archive that
  /// another machine may still remove.
  package static func takeOver(_ facts: WriterFacts) -> WriterDecision {
    let proved = facts.remote.filter { facts.line.counts($0) && !facts.unproved.contains($0) }
    let newest = proved.map(\.sequence).max() ?? facts.newestSequence
    // Behind one of the last numbers, no backup could be sent any more.
    guard let epoch = facts.line.next(), newest < RemoteName.sequences.upperBound - spareSequences else {
      return .exhausted
    }
    return .claim(epoch: epoch, baseSequence: max(newest, facts.newestSequence), .takeOver)
  }

  private static let spareSequences: Int64 = 1_000_000_000

  /// The backups on the line that the repository never stored: their sequence is above its newest
  /// one, or is the sequence of another backup, of the same ID or not. A take-over settles the second for all before it.
  package static func foreign(_ facts: WriterFacts) -> ForeignBackups? {
    let settled = facts.line.newestTakeOver?.epoch ?? 0
    let foreign = facts.remote.filter { name in
      guard facts.line.counts(name), !facts.unproved.contains(name) else { return false }
      if name.sequence > facts.newestSequence { return true }
      guard name.epoch >= settled else { return false }
      return facts.others.contains(name) || facts.stored[name.sequence].map { $0 != name.id } ?? false
    }
    guard let newest = foreign.max(by: { ($0.sequence, $0.epoch) < ($1.sequence, $1.epoch) }),
      let oldest = foreign.map(\.sequence).min()
    else { return nil }
    return ForeignBackups(
      sequences: oldest...newest.sequence, count: Set(foreign.map(\.id)).count,
      writer: facts.line.records.first { $0.epoch == newest.epoch })
  }

  /// The take-over of another machine since this one last wrote; nil if there is none. That machine
  /// may not have stored anything yet, so the backups do not show it.
  ///
  /// - Parameters:
  ///   - own: the last record of this machine; nil if it is not known, because the host has lost its
  ///     state. Then a take-over is ours if this host has the backups that follow it, or wrote it.
  ///   - host: the name of this host.
  package static func takeOverByOther(_ facts: WriterFacts, since own: WriterName?, host: String) -> WriterRecord? {
    guard let record = facts.line.newestTakeOver else { return nil }
    if let own { return record.epoch > own.epoch ? record : nil }
    let continues = facts.remote.contains { $0.epoch >= record.epoch && facts.stored[$0.sequence] == $0.id }
    return continues || record.host == host ? nil : record
  }

  /// The records that can be removed: they have no effect on any archive, and no writer needs them to
  /// detect that another one has begun.
  ///
  /// - The newest two and every take-over stay.
  /// - So do those of the last ``recordAge``. A writer that looked within ``listAge`` asks for the
  ///   record behind its own alone, which is younger than its look. Any other writer lists all, and
  ///   the newest one stays.
  package static func removable(_ line: WriterLine, _ archives: [RemoteName], now: Timestamp) -> [WriterName] {
    var old = line.records.dropLast(2).filter { record in
      record.reason == .start && record.started.adding(seconds: recordAge) < now
    }
    while !old.isEmpty {
      let names = Set(old.map(\.name))
      let rest = WriterLine(line.records.filter { !names.contains($0.name) })
      let needed = Set(
        archives.filter { rest.counts($0) }.compactMap { line.supersedes(epoch: $0.epoch, sequence: $0.sequence)?.name }
      )
      if needed.isEmpty { break }
      old.removeAll { needed.contains($0.name) }
    }
    return old.map(\.name)
  }

  /// Whether a look must list all newer records.
  package static func mustList(last: Timestamp?, now: Timestamp) -> Bool {
    guard let last, last <= now else { return true }
    return last.adding(seconds: listAge) < now
  }

  /// Whether the next writer record must be read before a write. A look from the future is none.
  package static func mustLook(last: Timestamp?, now: Timestamp) -> Bool {
    guard let last, last <= now else { return true }
    return last.adding(seconds: lookAge) < now
  }
}
