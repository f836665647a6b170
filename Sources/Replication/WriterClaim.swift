import BackupEngine
import BackupPolicy
import Glibc
import ObjectStorage

/// This process's right to write to a target: the writer records of the target, and its own.
///
/// A record carries a random number in its name, and the store is listed after it was written. Of
/// two records with one number the smaller one stays. So two machines never both write, also in a
/// store that ignores conditions.
final class WriterClaim {
  private let folder: RemoteFolder
  private let engine: Engine
  private let seal: RecordSeal
  private let memo: TargetMemo
  /// By name; nil for an object that is no record.
  private var records: [WriterName: WriterRecord?] = [:]
  /// The record of this process; nil before ``claim(_:baseSequence:reason:)``.
  private(set) var own: WriterName?
  private var lastLook: Timestamp?

  init(_ folder: RemoteFolder, _ engine: Engine, _ memo: TargetMemo) throws {
    guard
      let seal = RecordSeal(engine.credentials, repositoryID: folder.repositoryID, info: WriterRecordFile.info)
    else { throw HoldfastError(.failed, "\(folder.repositoryID) is not the ID of a repository") }
    (self.folder, self.engine, self.seal, self.memo) = (folder, engine, seal, memo)
  }

  var line: WriterLine { WriterLine(records.values.compactMap { $0 }) }

  /// Reads the records that are not known yet. Records never change.
  func read(_ names: [WriterName]) throws {
    let present = Set(names)
    records = records.filter { present.contains($0.key) }
    for name in names where records[name] == nil {
      let bytes = try folder.get(.writer(name), limit: 64 << 10)
      records[name] = .some(
        try WriterRecordFile(bytes, named: name, repositoryID: folder.repositoryID, seal: seal)?.record)
    }
  }

  /// Writes a record of this process. If another machine wrote one with the same number at the same
  /// time, and that one stays, the next number is tried.
  ///
  /// - Parameter epoch: the first number to try.
  func claim(_ epoch: Int, baseSequence: Int64, reason: WriterRecord.Reason, now: Timestamp) throws {
    var epoch = epoch
    for _ in 0..<Self.mostAttempts {
      let nonce = Hexadecimal.start(of: try SecretBytes.random(8))
      guard let name = WriterName(epoch: epoch, nonce: nonce) else { throw Self.exhausted }
      // Before the put: a lost answer is recognised by it.
      try memo.change(isDurable: true) { $0.writer = name }
      let record = WriterRecord(
        name, baseSequence: baseSequence, reason: reason, host: engine.environment.host, started: now)
      try folder.put(.writer(name), ObjectContent(try encoded(record, nonce)))
      try read(writers(in: folder.list(WriterName.folder)))
      lastLook = now
      if line.stays(name) {
        own = name
        return
      }
      guard let next = line.next() else { throw Self.exhausted }
      epoch = next
    }
    throw HoldfastError(.busy, "other machines begin to write to the target at the same time", hint: "try again")
  }

  /// Writes a record without looking at the target, for credentials that can only put.
  func claimBlindly(baseSequence: Int64, now: Timestamp) throws {
    let nonce = Hexadecimal.start(of: try SecretBytes.random(8))
    guard let name = WriterName(epoch: (memo.state.writer?.epoch ?? 0) + 1, nonce: nonce) else { throw Self.exhausted }
    let record = WriterRecord(name, baseSequence: baseSequence, host: engine.environment.host, started: now)
    try memo.change(isDurable: true) { $0.writer = name }
    try folder.put(.writer(name), ObjectContent(try encoded(record, nonce)))
    own = name
  }

  /// Looks for a newer record if the last look is older than ``WriterPolicy/lookAge``.
  ///
  /// - Returns: the newer record; nil if this process may go on.
  func newerRecord(now: Timestamp) throws -> WriterRecord? {
    guard let own, WriterPolicy.mustLook(last: lastLook, now: now) else { return nil }
    // Behind every record with this number.
    let after = WriterName(epoch: own.epoch).map { "\($0.text)." }
    let names = writers(in: try folder.list(WriterName.folder, after: after))
    try read(Array(records.keys) + names.filter { records[$0] == nil })
    lastLook = now
    return line.records.last { $0.epoch > own.epoch }
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
  private static let exhausted = HoldfastError(
    .failed, "the target has no number left for another writer record", hint: "use another prefix in the target's url")
}
