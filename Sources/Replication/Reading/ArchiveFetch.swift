import BackupEngine
import BackupPolicy
import Glibc
import Names
import ObjectStorage
import Synchronization
import Transfer

/// An archive that no source has as its name describes it.
struct LostArchive: Error {
  let name: RemoteName
  /// Lower case, no full stop.
  let reason: String
  /// Whether it is in no source any more.
  let isGone: Bool

  /// The failure for a backup that needs it, as text.
  func text(for backup: PointID) -> String {
    name.id == backup ? "its archive is not usable: \(reason)" : "\(name.id), which it needs, is not usable: \(reason)"
  }
}

/// One archive to fetch.
struct FetchJob: Sendable {
  let name: RemoteName
  /// The backup that it must build on.
  let parent: PointID?
  /// In the order in which they are asked.
  private(set) var holders: [(source: BackupSource, key: String)]
  let hasMetadata: Bool
  /// False if the caller reads the header itself.
  var checksHeader = true

  /// The same archive from one holder alone.
  func only(at holder: (source: BackupSource, key: String)) -> FetchJob {
    var job = self
    job.holders = [holder]
    return job
  }
}

/// Fetches archives into a scratch folder. An archive counts if its size, its SHA-256 and its header
/// agree with its name.
struct ArchiveFetch: Sendable {
  /// 32 hexadecimal digits.
  let repositoryID: String
  let repository: String
  let files: any FileOperations
  let progress: Progress
  let acceptsUnauthenticated: Bool

  /// Requests at the same time.
  static let width = 16
  private static let piece: Int64 = 16 << 20

  // MARK: Several archives

  /// - Throws: ``LostArchive``, and the errors of stores.
  func fetch(_ jobs: [FetchJob]) throws {
    let total = jobs.reduce(Int64(0)) { $0.addingClamped($1.name.bytes) }
    let queue = FetchQueue(jobs.count, workers: min(Self.width, jobs.count))
    // Small archives report their own ends.
    let reports = total > Self.piece
    try progress.update(.fetching, 0, of: total)
    try Workers.run(queue.workers + (reports ? 1 : 0)) { worker in
      guard worker < queue.workers else { return report(queue, jobs, total) }
      defer { queue.end() }
      while let index = queue.next() {
        do {
          try fetch(jobs[index])
        } catch {
          queue.fail()
          throw error
        }
        try progress.update(.fetching, queue.finish(index, jobs[index].name.bytes), of: total)
      }
    }
  }

  /// Reports the progress of archives that take long, until the last worker has ended.
  private func report(_ queue: FetchQueue, _ jobs: [FetchJob], _ total: Int64) {
    while let (done, active) = queue.figures {
      let partial = active.map { (try? files.status(path(jobs[$0].name)))??.size ?? 0 }
      try? progress.update(.fetching, min(total, partial.reduce(done) { $0.addingClamped($1) }), of: total)
      usleep(50_000)
    }
  }

  private func path(_ name: RemoteName) -> String { "\(repository)/\(name.archive.text)" }

  // MARK: One archive

  /// Fetches an archive from the first source that has it as its name describes it.
  func fetch(_ job: FetchJob) throws {
    var lost = LostArchive(name: job.name, reason: "it is gone", isGone: true)
    var failure: HoldfastError?
    for holder in job.holders {
      try progress.check()
      do {
        try fetch(job, from: holder)
        return
      } catch let error as LostArchive {
        if !error.isGone { lost = error }
      } catch let error as StoreError {
        let error = HoldfastError(error, of: holder.source.address)
        guard holder.source.layout == .target else { continue }
        if [.interrupted, .noSpace].contains(error.code) { throw error }
        failure = failure ?? error
      }
    }
    // Another source may still have it when it answers again.
    throw failure ?? lost
  }

  private func fetch(_ job: FetchJob, from holder: (source: BackupSource, key: String)) throws {
    let path = path(job.name)
    try files.unlink(path)
    do {
      let file = try files.open(path, .createPrivate)
      defer { files.close(file) }
      try download(job, holder, into: file.descriptor)
      try check(job, path)
      if job.hasMetadata { try fetchMetadata(job.name, holder) }
    } catch {
      try? files.unlink(path)
      throw error
    }
  }

  private func download(
    _ job: FetchJob, _ holder: (source: BackupSource, key: String), into descriptor: Int32
  ) throws {
    let bytes = job.name.bytes
    // A folder costs no requests, so that a copy from it can be stopped.
    let piece = holder.source.store is FolderStore ? Self.piece : max(bytes, 1)
    var received: Int64 = 0
    while received < bytes {
      try progress.check()
      let end = min(bytes, received + piece)
      do {
        // The range keeps a store from sending more than is expected.
        let sink = HTTPSink.file(descriptor: descriptor, offset: received, limit: end - received)
        received += try get(holder, received..<end, into: sink, job.name)
      } catch let error as StoreError where error.kind == .unreachable {
        // The connection broke: go on behind the bytes that arrived, as long as some arrive.
        let size = try files.size(OpenFile(descriptor: descriptor, path: job.name.archive.text))
        guard size > received, size < end else { throw error }
        received = size
        continue
      }
      guard received == end else {
        throw LostArchive(name: job.name, reason: "it has \(received) bytes instead of \(bytes)", isGone: false)
      }
    }
  }

  private func get(
    _ holder: (source: BackupSource, key: String), _ range: Range<Int64>, into sink: HTTPSink, _ name: RemoteName
  ) throws -> Int64 {
    do throws(StoreError) {
      return try holder.source.store.get(holder.key, range: range, into: sink).count
    } catch {
      switch error.kind {
      case .missing: throw LostArchive(name: name, reason: "it is gone", isGone: true)
      case .outOfRange:
        throw LostArchive(name: name, reason: "it has fewer than \(range.upperBound) bytes", isGone: false)
      default: throw error.naming(holder.key, "the archive of \(name.id)")
      }
    }
  }

  private func check(_ job: FetchJob, _ path: String) throws {
    func lost(_ reason: String) -> LostArchive { LostArchive(name: job.name, reason: reason, isGone: false) }
    guard try FetchedArchive.hash(at: path, files) == job.name.hash else {
      throw lost("its content does not have the checksum in its name")
    }
    guard job.checksHeader else { return }
    do {
      let archive = try FetchedArchive(job.name.archive, at: path, files)
      if let contradiction = archive.contradiction(to: job.name, parent: job.parent, repositoryID) {
        throw lost(contradiction)
      }
      guard archive.isSealed || acceptsUnauthenticated else { throw HoldfastError.unproved(job.name.id) }
    } catch let error as HoldfastError where error.code == .archiveCorrupt {
      throw lost(error.message)
    }
  }

  /// The record of a full whose archive has no header.
  private func fetchMetadata(_ name: RemoteName, _ holder: (source: BackupSource, key: String)) throws {
    guard holder.source.layout == .target else { return }
    let bytes = try holder.source.store.get(holder.key + ".json", limit: 8 << 20)
    try files.replace("\(repository)/.metadata/\(name.id).json", with: bytes, durable: false)
  }

  /// Returns the first bytes of an archive.
  func head(_ job: FetchJob) throws -> [UInt8] {
    var failure: HoldfastError?
    for holder in job.holders {
      do throws(StoreError) {
        return try holder.source.store.get(holder.key, range: 0..<Self.headBytes, limit: Int(Self.headBytes))
      } catch {
        guard error.kind != .missing, holder.source.layout == .target else { continue }
        let named = error.naming(holder.key, "the archive of \(job.name.id)")
        failure = failure ?? HoldfastError(named, of: holder.source.address)
      }
    }
    throw failure ?? LostArchive(name: job.name, reason: "it is gone", isGone: true)
  }

  /// They hold the header in nearly every case.
  static let headBytes: Int64 = 64 << 10
}

/// The archives that several workers fetch.
private final class FetchQueue: Sendable {
  private struct State {
    var next = 0
    var done: Int64 = 0
    var active: Set<Int> = []
    var hasFailed = false
    var ended = 0
  }

  let workers: Int
  private let count: Int
  private let state = Mutex(State())

  init(_ count: Int, workers: Int) { (self.count, self.workers) = (count, workers) }

  /// Nil if nothing is left, or if another worker failed.
  func next() -> Int? {
    state.withLock { state in
      guard state.next < count, !state.hasFailed else { return nil }
      state.active.insert(state.next)
      state.next += 1
      return state.next - 1
    }
  }

  /// Returns the bytes of all finished archives.
  func finish(_ index: Int, _ bytes: Int64) -> Int64 {
    state.withLock { state in
      state.active.remove(index)
      state.done = state.done.addingClamped(bytes)
      return state.done
    }
  }

  func fail() { state.withLock { $0.hasFailed = true } }

  func end() { state.withLock { $0.ended += 1 } }

  /// The bytes of the finished archives, and those that are being fetched; nil when all workers have
  /// ended.
  var figures: (done: Int64, active: Set<Int>)? {
    state.withLock { $0.ended < workers ? ($0.done, $0.active) : nil }
  }
}

extension FetchedArchive {
  /// The first contradiction between the header and the name in the target; nil if they agree.
  func contradiction(to name: RemoteName, parent: PointID?, _ repositoryID: String) -> String? {
    guard let metadata else { return nil }
    func differs(_ field: String, _ found: String) -> String {
      "its header has another \(field) than its name: \(found)"
    }
    if metadata.id != name.id { return differs("ID", metadata.id.text) }
    if metadata.sequence.map({ Int64(clamping: $0) }) != name.sequence {
      return differs("number", "\(metadata.sequence ?? 0)")
    }
    if metadata.parentID != parent { return differs("parent", metadata.parentID?.text ?? "none") }
    if isSealed, metadata.repositoryID != repositoryID {
      return differs("repository", metadata.repositoryID ?? "none")
    }
    return nil
  }
}

extension HoldfastError {
  /// Only a person can vouch for an archive that no key proves.
  static func unproved(_ id: PointID) -> HoldfastError {
    HoldfastError(
      .unauthenticated,
      "\(id) cannot be authenticated: it is not encrypted with aes-256-gcm, so no key proves its origin",
      hint: "use an authenticated backup, or --accept-unauthenticated if you trust the target")
  }
}
