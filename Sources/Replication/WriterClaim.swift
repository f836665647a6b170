import BackupEngine
import BackupPolicy
import Glibc
import ObjectStorage

/// This process's right to write to a target: the writer records of the target, and its own.
///
/// A store that creates an object only if its name is free lets one machine have a number. That is
/// probed once and never assumed. In other stores, a record carries a random number in its name, and
/// the records are listed after it was written: of two with one number the smaller one stays. So two
/// machines never both write.
final class WriterClaim {
  private let folder: RemoteFolder
  private let engine: Engine
  private let seal: RecordSeal
  private let memo: TargetMemo
  /// By name. An object that is no record has an entry without an effect, because its number is used.
  private var records: [WriterName: WriterRecord] = [:]
  /// The record of this process; nil before ``claim(_:baseSequence:reason:)``.
  private(set) var own: WriterName?
  private var lastLook: Timestamp?
  private var hasRemovedOld = false

  init(_ folder: RemoteFolder, _ engine: Engine, _ memo: TargetMemo) throws {
    guard
      let seal = RecordSeal(engine.credentials, repositoryID: folder.repositoryID, info: WriterRecordFile.info)
    else { throw HoldfastError(.failed, "\(folder.repositoryID) is not the ID of a repository") }
    (self.folder, self.engine, self.seal, self.memo) = (folder, engine, seal, memo)
  }

  var line: WriterLine { WriterLine(Array(records.values)) }

  /// Reads the records that are not known yet. Records never change, so a start of the agent costs
  /// no request for those that an earlier one has read.
  ///
  /// - Parameter times: when the records were written; a list contains these times.
  func read(_ names: [WriterName], written times: [WriterName: Int64] = [:]) throws {
    let present = Set(names)
    records = records.filter { present.contains($0.key) || $0.key == own }
    if !times.isEmpty { memo.keepRecords(present) }
    for name in names where records[name] == nil {
      if let known = memo.records[name], known.written == times[name] {
        records[name] = known.record
      } else if let record = try fetch(name)?.record, record.isAuthentic, let time = times[name] {
        // With another key, one that is not authentic may be.
        try memo.add(RememberedRecord(record, written: time))
      }
    }
  }

  /// - Returns: nil if the object is no record.
  private func fetch(_ name: WriterName) throws -> WriterRecordFile? {
    var bytes: [UInt8] = []
    do {
      bytes = try folder.get(.writer(name), limit: Self.longestRecord)
    } catch {
      // Somebody wants to stop us: it is no record.
      guard error.kind == .tooLarge else { throw error }
    }
    let file = try WriterRecordFile(bytes, named: name, repositoryID: folder.repositoryID, seal: seal)
    records[name] =
      file?.record
      ?? WriterRecord(name, baseSequence: 0, host: "", started: Timestamp(milliseconds: 0), isAuthentic: false)
    return file
  }

  /// Writes a record of this process. If another machine has the number, the next one is tried.
  ///
  /// - Parameter epoch: the first number to try.
  /// - Throws: ``ChangedTarget`` at a start if another machine has begun to write since the list: its
  ///   backups are not known.
  func claim(_ epoch: Int, baseSequence: Int64, reason: WriterRecord.Reason, now: Timestamp) throws {
    let hasConditions = try hasConditions()
    if !hasConditions, reason == .start {
      // Where no condition refuses it, a late record would stay beside the other one.
      try read(writers(in: folder.list(WriterName.folder)))
      if hasOthers(from: epoch, besides: nil) { throw ChangedTarget() }
    }
    var epoch = epoch
    for _ in 0..<Self.mostAttempts {
      let nonce = leadingNumber(of: try SecretBytes.random(8))
      guard let name = WriterName(epoch: epoch, nonce: hasConditions ? nil : nonce) else { throw Self.exhausted }
      let record = WriterRecord(
        name, baseSequence: baseSequence, reason: reason, host: engine.environment.host, started: now)
      // Before the put: a lost answer is recognised by it.
      try memo.change(isDurable: true) { $0.writer = name }
      lastLook = now
      let isWritten = try hasConditions ? create(record, nonce) : add(record, nonce)
      if reason == .start, hasOthers(from: epoch, besides: isWritten ? name : nil) { throw ChangedTarget() }
      if isWritten {
        own = name
        return
      }
      guard let next = line.next() else { throw Self.exhausted }
      epoch = next
    }
    throw HoldfastError(.busy, "other machines begin to write to the target at the same time", hint: "try again")
  }

  /// Whether another process wrote a record with this number or a later one. A forged one has no
  /// effect.
  private func hasOthers(from epoch: Int, besides own: WriterName?) -> Bool {
    records.values.contains { $0.isAuthentic && $0.epoch >= epoch && $0.name != own }
  }

  /// - Returns: false if another machine has the number.
  private func create(_ record: WriterRecord, _ nonce: UInt64) throws -> Bool {
    let content = ObjectContent(try encoded(record, nonce))
    do {
      try folder.put(.writer(record.name), content, PutOptions(createOnly: true))
    } catch {
      guard error.kind == .exists else { throw error }
      // Perhaps it is our own, and the answer to the first try was lost.
      return try fetch(record.name)?.nonce == nonce
    }
    records[record.name] = record
    return true
  }

  /// - Returns: false if another machine wrote a record with the same number, and that one stays.
  private func add(_ record: WriterRecord, _ nonce: UInt64) throws -> Bool {
    try folder.put(.writer(record.name), ObjectContent(try encoded(record, nonce)))
    try read(writers(in: folder.list(WriterName.folder)))
    return line.stays(record.name)
  }

  /// Whether the store refuses to create an object whose name is taken.
  private func hasConditions() throws -> Bool {
    if let known = memo.state.hasConditions { return known }
    let probe = RemoteObject.probe(leadingNumber(of: try SecretBytes.random(8)))
    let refuses = try create(probe, "first") == .done && create(probe, "second") == .taken
    // Credentials that may not remove anything leave the probe there.
    try? folder.delete(probe)
    try memo.change { $0.hasConditions = refuses }
    return refuses
  }

  private enum Creation { case done, taken, unsupported }

  /// Some stores, OpenStack Swift among them, refuse every request with a condition.
  private func create(_ probe: RemoteObject, _ text: String) throws(StoreError) -> Creation {
    do throws(StoreError) {
      try folder.put(probe, ObjectContent(Array(text.utf8)), PutOptions(createOnly: true))
      return .done
    } catch {
      switch error.kind {
      case .exists: return .taken
      case .unsupported: return .unsupported
      default: throw error
      }
    }
  }

  /// Writes a record without reading the target, for credentials that can only put.
  func claimBlindly(baseSequence: Int64, now: Timestamp) throws {
    let nonce = leadingNumber(of: try SecretBytes.random(8))
    let epoch = WriterPolicy.blindEpoch(after: memo.state.writer?.epoch, now: now)
    guard let name = WriterName(epoch: epoch, nonce: nonce) else { throw Self.exhausted }
    let record = WriterRecord(name, baseSequence: baseSequence, host: engine.environment.host, started: now)
    try memo.change(isDurable: true) { $0.writer = name }
    let options = PutOptions(createOnly: try hasConditions())
    try folder.put(.writer(name), ObjectContent(try encoded(record, nonce)), options)
    own = name
  }

  /// Looks for a newer record if the last look is older than ``WriterPolicy/lookAge``.
  ///
  /// - Returns: the newer record; nil if this process may go on.
  func newerRecord(now: Timestamp) throws -> WriterRecord? {
    guard let own else { return nil }
    // A list since the last look has read it already.
    if let known = newest(after: own) { return known }
    guard WriterPolicy.mustLook(last: lastLook, now: now) else { return nil }
    if own.nonce == nil, !WriterPolicy.mustList(last: lastLook, now: now) {
      try readNext(after: own.epoch)
    } else {
      try readAll(after: own)
    }
    lastLook = now
    return newest(after: own)
  }

  private func newest(after own: WriterName) -> WriterRecord? {
    records.values.filter { $0.isAuthentic && $0.epoch > own.epoch }.max { $0.epoch < $1.epoch }
  }

  /// Asks for the record with the next number. One that counts for nothing is passed over.
  private func readNext(after epoch: Int) throws {
    while let next = line.next(after: epoch), let name = WriterName(epoch: next) {
      do {
        _ = try fetch(name)
      } catch let error as StoreError where error.kind == .missing {
        return
      }
    }
  }

  private func readAll(after own: WriterName) throws {
    // Behind every record with this number.
    let after = WriterName(epoch: own.epoch).map { "\($0.text)." }
    let names = writers(in: try folder.list(WriterName.folder, after: after))
    try read(Array(records.keys) + names.filter { records[$0] == nil })
  }

  /// Removes the records that have no effect any more, once after a claim, so that a start has few to
  /// read. If a store refuses, they stay.
  ///
  /// - Parameter archives: everything in the target.
  func removeOld(besides archives: [RemoteName], now: Timestamp) {
    guard own != nil, !hasRemovedOld else { return }
    hasRemovedOld = true
    for name in WriterPolicy.removable(line, archives, now: now) {
      guard (try? folder.delete(.writer(name))) != nil else { return }
      records[name] = nil
    }
  }

  private func writers(in objects: [RemoteObject]) -> [WriterName] {
    objects.compactMap { if case .writer(let name) = $0 { name } else { nil } }
  }

  private func encoded(_ record: WriterRecord, _ nonce: UInt64) throws -> [UInt8] {
    let file = WriterRecordFile(
      record, repositoryID: folder.repositoryID, nonce: nonce, process: Int64(getpid()), agentVersion: holdfastVersion)
    return try file.encoded { try engine.marks(of: $0, by: seal) }
  }

  private static let mostAttempts = 5
  /// Bytes.
  private static let longestRecord = 64 << 10
  private static let exhausted = HoldfastError(
    .failed, "the target has no number left for another writer record", hint: "use another prefix in the target's url")
}
