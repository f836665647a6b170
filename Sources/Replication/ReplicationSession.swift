import BackupEngine
import BackupPolicy
import ObjectStorage

/// One target from the first list on: its memo, its writer records, and the execution of plans.
final class ReplicationSession {
  let folder: RemoteFolder
  private let engine: Engine
  private let target: Target
  private let memo: TargetMemo
  private let claim: WriterClaim
  private let mark: FolderMark
  private let proof: HeaderProof
  private let contents: TargetContents
  private let steps: StepCounter
  private var chainAudit = ChainAudit()
  /// The requests that earlier outcomes contain.
  private var counted = RequestCount()
  private var obstacle: ReplicationObstacle?
  /// The last refusal of a removal, and when to try again.
  private var refusal: (error: StoreError, until: Timestamp)?
  private var filenames: [PointID: String] = [:]

  /// - Parameters:
  ///   - repositoryID: 32 hexadecimal digits.
  ///   - memo: of the target. If it is only read, nothing may be written.
  ///   - steps: counts what the store accepts.
  init(
    _ engine: Engine, _ target: Target, _ store: any ObjectStore, repositoryID: String, _ memo: TargetMemo,
    steps: StepCounter = StepCounter()
  ) throws {
    guard let folder = RemoteFolder(store, repositoryID: repositoryID) else {
      throw HoldfastError(.failed, "\(repositoryID) is not the ID of a repository")
    }
    (self.folder, self.engine, self.target, self.memo, self.steps) = (folder, engine, target, memo, steps)
    claim = try WriterClaim(folder, engine, memo)
    mark = FolderMark(folder, memo, target)
    proof = HeaderProof(folder: folder, engine: engine, memo: memo)
    contents = TargetContents(folder, memo, name: target.name, engine.environment)
  }

  var memoPath: String { memo.path }
  var usage: TargetUsage { memo.usage }

  /// Releases the lock of the memo until ``resume()``.
  func rest() { memo.rest() }

  /// - Returns: false if another process has written to the target meanwhile.
  func resume() throws -> Bool { try memo.resume() }

  private var canRead: Bool { target.settings.access != .writeOnly }

  // MARK: Reading the target

  /// Lists the target, and finds out whether this machine may write to it.
  ///
  /// - Parameter facts: read after the list, so that the list has nothing newer.
  /// - Throws: `refused` if it is a folder, and not the one that this host has used.
  func begin(_ now: Timestamp, _ facts: () throws -> ShippingFacts) throws -> ShippingFacts {
    try mark.find()
    if canRead { try list(now) }
    let facts = try facts()
    if canRead { try judge(facts) }
    return facts
  }

  private func judge(_ facts: ShippingFacts) throws {
    let writer = try writerFacts(facts)
    if let record = WriterPolicy.takeOverByOther(writer, since: memo.state.writer, host: engine.environment.host) {
      obstacle = .takenOver("\(record.host) took it over at \(record.started.iso8601)")
    } else {
      obstacle = WriterPolicy.foreign(writer).map { .foreign($0.text) }
    }
  }

  /// Lists the target again if the last list is old: objects may have disappeared.
  ///
  /// - Parameter period: seconds; 0: never.
  func check(every period: Int64, now: Timestamp) throws {
    if mustCheck(every: period, now: now) { try list(now) }
  }

  private func mustCheck(every period: Int64, now: Timestamp) -> Bool {
    guard canRead, period > 0 else { return false }
    guard let last = memo.state.listed else { return true }
    return last > now || last.adding(seconds: period) <= now
  }

  /// Whether backups may be put without a plan.
  ///
  /// - Parameter period: seconds between two lists.
  func isReady(checkedEvery period: Int64, now: Timestamp) -> Bool {
    claim.own != nil && obstacle == nil && !mustCheck(every: period, now: now)
  }

  /// When the newest backup was last put.
  var lastPut: Timestamp? { memo.state.put }

  /// Removes the remains of crashed puts to this repository, once a week. Without success, the
  /// store's own rules remove them some day.
  func removeLeftovers(_ now: Timestamp) {
    guard obstacle == nil, target.settings.access == .full else { return }
    if let last = memo.state.cleaned {
      guard last > now || last.adding(seconds: Self.leftoverAge) <= now else { return }
      let removed = try? folder.removeLeftovers(olderThan: Self.leftoverAge, except: memo.upload.load())
      if let removed, removed > 0 {
        engine.environment.logger.info("target \(target.name): removed \(removed) remains of interrupted uploads")
      }
    }
    try? memo.change { $0.cleaned = now }
  }

  /// When the target was last listed completely.
  var listed: Timestamp? { memo.state.listed }

  /// Lists the target before its regular check.
  func listAgain(_ now: Timestamp) throws {
    if canRead { try list(now) }
  }

  private func list(_ now: Timestamp) throws {
    try mark.require()
    let objects = try folder.listWithFacts()
    var times: [WriterName: Int64] = [:]
    for case (.writer(let name), let info) in objects { times[name] = info.modified }
    try claim.read(objects.compactMap { if case .writer(let name) = $0.object { name } else { nil } }, written: times)
    // Without its record this process has no right to write: everything was removed.
    if let own = claim.own, times[own] == nil, try folder.size(.writer(own)) == nil { throw ChangedTarget() }
    if let base = claim.line.newestTakeOver?.baseSequence, base != memo.state.takenOverAt {
      try memo.change { $0.takenOverAt = base }
    }
    try contents.record(objects, at: now)
    chainAudit.recordList(at: now)
  }

  /// Asks for archives that the put needs.
  ///
  /// - Throws: `missing`; the target must be listed then.
  private func look(before put: ReplicationPut) throws {
    guard canRead else { return }
    let names = chainAudit.archives(
      before: put, among: memo.inventory.archives.keys, isOnDisk: folder.isOnDisk, now: engine.environment.now())
    for name in names where try !folder.hasWhole(name) {
      throw StoreError(.missing, "the archive of \(name.id) is no longer in the target, or is cut off")
    }
  }

  /// Reads all archives. Those that are damaged count as missing, so that they are put again.
  func audit(_ progress: Progress) throws {
    guard canRead else {
      throw HoldfastError(
        .usage, "target \(target.name): its archives cannot be read, because its access is write-only",
        hint: "repair it on a machine with a key that can read")
    }
    try contents.audit(claim.line, progress)
  }

  /// Reads the headers of the archives that look foreign: everybody who can write to the target can
  /// write names.
  private func writerFacts(_ facts: ShippingFacts) throws -> WriterFacts {
    var stored: [Int64: PointID] = [:]
    for point in facts.points { if let sequence = point.sequence { stored[sequence] = point.id } }
    var writer = WriterFacts(
      claim.line, remote: Array(memo.inventory.archives.keys), stored: stored, newestSequence: facts.newestSequence)
    // The seal of a target: if backups of ours in it are encrypted, a name without encryption proves
    // nothing.
    let isSealed = writer.remote.contains { $0.archive.encrypted && stored[$0.sequence] == $0.id }
    for name in writer.remote {
      let isOther = stored[name.sequence].map { $0 != name.id } ?? false
      guard isOther || name.sequence > facts.newestSequence else { continue }
      if isSealed, !name.archive.encrypted {
        writer.unproved.insert(name)
        continue
      }
      if memo.inventory.archives[name]?.isProved == true { continue }
      if try !proof.prove(name) { writer.unproved.insert(name) }
    }
    if let other = try proof.other(among: writer.remote.filter { stored[$0.sequence] == $0.id }, claim.line) {
      writer.others.insert(other)
    }
    return writer
  }

  /// Accepts the folder that is there now, and its content.
  func acceptFolder() throws { try mark.accept() }

  func facts(_ facts: ShippingFacts) -> ReplicationFacts {
    memo.update(facts.points)
    var all = memo.facts(facts, claim.line)
    all.lastPut = memo.state.put
    all.obstacle = obstacle?.reason
    contents.complete(&all, at: facts.now)
    return all
  }

  // MARK: Writing

  /// The repository is changed first: a full too many is no harm, an incremental on an archive that
  /// another machine may remove is.
  func takeOver(_ facts: ShippingFacts) throws {
    guard case .claim(let epoch, let base, let reason) = WriterPolicy.takeOver(try writerFacts(facts)) else {
      throw HoldfastError(.failed, "the target \(target.name) has no number left for another writer record")
    }
    try mark.ensure()
    try engine.continueBehind(sequence: base)
    try claim.claim(epoch, baseSequence: base, reason: reason, now: facts.now)
    try memo.change { $0.takenOverAt = base }
  }

  /// - Parameter filenames: of archives in the repository that are known, so that nothing is listed.
  func execute(
    _ plan: ReplicationPlan, _ facts: ShippingFacts, filenames: [PointID: String] = [:], _ progress: Progress
  ) throws -> ReplicationOutcome {
    var outcome = ReplicationOutcome(plan: plan)
    self.filenames = filenames
    try contents.forgetDamaged(at: facts.now)
    let result = Result { try execute(plan, facts, progress, &outcome) }
    outcome.obstacle = obstacle ?? (plan.needsFull ? .fullNeeded : nil)
    outcome.requests = folder.requests - counted
    count(outcome)
    do {
      try result.get()
    } catch is DamagedArchiveHere {
      throw DamagedArchiveHere(before: outcome)
    }
    return outcome
  }

  private func execute(
    _ plan: ReplicationPlan, _ facts: ShippingFacts, _ progress: Progress, _ outcome: inout ReplicationOutcome
  ) throws {
    for name in plan.unread {
      try progress.check()
      try prove(name)
    }
    var planned = plan.puts.reduce(Int64(0)) { $0.addingClamped($1.bytes) }
    for step in plan.steps {
      try progress.check()
      switch step {
      case .put(let put):
        guard try mayWrite(facts) else { return }
        try look(before: put)
        planned -= put.bytes
        let meter = SendingMeter(progress, before: outcome.sentBytes, after: planned)
        let name = try self.put(put, facts, meter)
        outcome.put.append(name)
        outcome.sentBytes += name.bytes
      // A damaged archive may have been replaced by one of the same name.
      case .remove(let name, _) where outcome.put.contains(name): continue
      case .remove(let name, _):
        guard try mayWrite(facts) else { return }
        // The archives of a later writer are not ours to remove, whatever a list made of them.
        guard let own = claim.own, name.epoch <= own.epoch else { continue }
        outcome.refusedRemoval = try removeIfAllowed(name)
        if outcome.refusedRemoval != nil { return }
        outcome.removed.append(name)
      case .wait(let until, _): outcome.next = until
      case .stop: return
      }
    }
    if target.settings.access == .full, !target.settings.isLocked {
      claim.removeOld(besides: Array(memo.inventory.archives.keys), now: engine.environment.now())
    }
  }

  /// Reads the header of an archive whose backup rules may remove. One that the store does not deliver,
  /// because it was moved to an archive class or is not ours to read, stays as it is.
  private func prove(_ name: RemoteName) throws {
    do {
      if try proof.prove(name) { return }
      contents.recordForged(name)
    } catch let error as StoreError where error.isRefusal {
      contents.recordRefused(name, error)
    }
  }

  /// Claims the target before the first write, and looks whether another machine did after it.
  private func mayWrite(_ facts: ShippingFacts) throws -> Bool {
    let now = engine.environment.now()
    guard claim.own != nil else {
      try mark.ensure()
      if !canRead {
        // The clock may have been ahead at an earlier start.
        let latest = facts.points.map(\.created).max() ?? now
        try claim.claimBlindly(baseSequence: facts.newestSequence, now: max(now, latest))
        return true
      }
      guard let epoch = claim.line.next() else {
        throw HoldfastError(.failed, "the target \(target.name) has no number left for another writer record")
      }
      try claim.claim(epoch, baseSequence: facts.newestSequence, reason: .start, now: now)
      return true
    }
    try mark.require()
    if let own = claim.own, try folder.isFolderWithout(.writer(own)) { throw ChangedTarget() }
    guard canRead, let other = try claim.newerRecord(now: now) else { return true }
    obstacle = .takenOver("\(other.host) writes to it since \(other.started.iso8601)")
    return false
  }

  private func put(_ put: ReplicationPut, _ facts: ShippingFacts, _ meter: SendingMeter) throws -> RemoteName {
    guard let epoch = claim.own?.epoch, let point = facts.points.first(where: { $0.id == put.point }) else {
      throw HoldfastError(.failed, "internal error: \(put.point) is sent without a writer record or a backup")
    }
    let shipment = try unlessDamaged(put) {
      var shipment = try Shipment(put, epoch: epoch, filename: filenames[put.point], engine, meter.progress)
      var options = try options(for: &shipment)
      options.sent = try meter.start(bytes: shipment.archive.bytes)
      if contents.damaged.contains(shipment.name), target.settings.access == .full { try remove(shipment.name) }
      try shipment.send(to: folder, options, canRead: canRead, mayReplace: target.settings.access == .full)
      return shipment
    }
    // If the disk went away meanwhile, the archive is below its mount point.
    try mark.require()
    steps.add()
    let now = engine.environment.now()
    memo.upload.remove()
    var sent = point
    sent.bytes = shipment.name.bytes
    contents.recordReplacement(of: shipment.name)
    try memo.add(RemoteArchive(shipment.name, sent, put: now))
    if put.isNewest { try memo.change { $0.put = now } }
    return shipment.name
  }

  /// - Throws: ``DamagedArchiveHere`` if the archive in the repository is not what its metadata says:
  ///   the next plan does without it.
  private func unlessDamaged(_ put: ReplicationPut, _ body: () throws -> Shipment) throws -> Shipment {
    do {
      return try body()
    } catch let error where Self.isDamaged(error) {
      contents.recordDamageHere(to: put.point)
      throw DamagedArchiveHere()
    }
  }

  private static func isDamaged(_ error: any Error) -> Bool {
    (error as? StoreError)?.kind == .changed || (error as? HoldfastError)?.code == .archiveCorrupt
  }

  /// Continues an upload in parts that an earlier run began, and gives up one of another archive.
  private func options(for shipment: inout Shipment) throws -> PutOptions {
    var options = PutOptions(createOnly: memo.state.hasConditions ?? false)
    if shipment.name.parent == nil, shipment.name.bytes >= Self.smallestClassed {
      options.storageClass = target.storageClass
    }
    if let begun = memo.upload.load() {
      // A name of an earlier start of the agent is as good as long as no other machine came between.
      if begun.sha256 == shipment.archive.sha256.hex, let key = RemoteKey(begun.key),
        key.repository == folder.repositoryID, case .archive(let name) = key.object, claim.line.counts(name),
        shipment.continueUpload(as: name)
      {
        options.resume = begun
      } else {
        try folder.abandon(begun)
        memo.upload.remove()
      }
    }
    let record = memo.upload
    let (logger, steps) = (engine.environment.logger, steps)
    options.partStored = { steps.add() }
    options.began = { upload in
      do {
        try record.save(upload)
      } catch {
        logger.warning("an upload in parts was not recorded and cannot be continued after a restart: \(error)")
      }
    }
    return options
  }

  /// A store that refuses is asked once an hour.
  private func removeIfAllowed(_ name: RemoteName) throws -> StoreError? {
    let now = engine.environment.now()
    if let refusal, refusal.until > now { return refusal.error }
    do {
      refusal = nil
      try remove(name)
    } catch let error as StoreError where error.isRefusal {
      refusal = (error, now.adding(seconds: 3600))
    }
    return refusal?.error
  }

  private func remove(_ name: RemoteName) throws {
    try folder.delete(.archive(name))
    steps.add()
    if name.parent == nil, !name.archive.encrypted { try folder.delete(.metadata(name)) }
    try memo.remove(name, at: engine.environment.now())
    contents.recordReplacement(of: name)
  }

  /// A memo that cannot be written stops no backup.
  private func count(_ outcome: ReplicationOutcome) {
    counted = folder.requests
    if outcome.requests == RequestCount() { return }
    let month = String(engine.environment.now().iso8601.prefix(7))
    try? memo.change { state in
      if state.month != month { (state.month, state.requests, state.sentBytes) = (month, RequestCount(), 0) }
      state.requests = state.requests + outcome.requests
      state.sentBytes = state.sentBytes.addingClamped(outcome.sentBytes)
    }
  }

  /// Seconds. Another writer may need days for one upload.
  private static let leftoverAge: Int64 = 7 * 86400
  /// Classes for rare access charge for 128 KiB at least.
  private static let smallestClassed: Int64 = 128 << 10
}

/// The target is not as at its list: an empty disk is in place of the mounted one, or another machine
/// has begun to write to it. It has to be listed again.
struct ChangedTarget: Error {}

extension StoreError {
  /// Whether a store that can be reached refuses this one request: by its rights, by an object lock or
  /// a storage class, or because it does not know the request. The uploads go on then.
  fileprivate var isRefusal: Bool {
    switch kind {
    case .denied, .unsupported, .conflict, .invalid, .other: true
    default: false
    }
  }
}

/// An archive of the repository is damaged. The session knows which one.
struct DamagedArchiveHere: Error {
  /// The steps before it.
  var before: ReplicationOutcome?
}
