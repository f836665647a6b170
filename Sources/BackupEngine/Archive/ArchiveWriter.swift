import BackupPolicy
import Names
import SQLitePages

/// The measurements of a written archive.
struct WrittenArchive: Sendable {
  /// Bytes of the archive file.
  var size: Int64
  /// SHA-256 of the archive file.
  var checksum: [UInt8]
  /// ``PageDigest`` of the image.
  var digest: [UInt8]
  /// Rows of each table; nil if no rows were counted at all.
  var tableCounts: [Identifier: Int64?]?
}

/// Encodes an image as an archive's payload: reads, hashes, and compresses on every core, then
/// encrypts and writes in order.
final class ArchiveWriter: Sendable {
  private let source: any ImageSource
  private let level: CompressionLevel?
  private let secret: PageDigest.Secret
  private let progress: Progress
  private let tableRoots: [Identifier: UInt32]?
  private let census: RowCensus?
  private let table: PageDigestsWriter?

  /// - Parameters:
  ///   - level: nil stores the image as it is.
  ///   - tableRoots: the tables whose rows are counted; nil if they are not known.
  ///   - table: receives the hash of every page.
  init(
    _ source: any ImageSource, level: CompressionLevel?, secret: PageDigest.Secret, tableRoots: [Identifier: UInt32]?,
    table: PageDigestsWriter? = nil, progress: Progress
  ) {
    self.table = table
    self.tableRoots = tableRoots
    census = RowCensus(pageSize: source.pageSize, pageCount: source.pageCount)
    self.source = source
    self.level = level
    self.secret = secret
    self.progress = progress
  }

  /// Writes the whole payload and the trailer; the file is not synced yet.
  func write(to sink: any PayloadSink, file: HashingFileWriter, digestKey: [UInt8]) throws -> WrittenArchive {
    let order = OrderedOutput(sink, slots: Workers.count + 1)
    let digest = SharedDigest()
    let chunks = max(1, Int((source.imageSize + Int64(GzipMember.chunkSize) - 1) / Int64(GzipMember.chunkSize)))
    try Workers.run(min(chunks, Workers.count)) { [self] _ in
      do {
        let encoder = try level.map { try GzipMemberEncoder(level: $0) }
        while let slot = try order.claim(below: chunks, read) {
          digest.add(hash(slot.pages, first: first(of: slot.chunk)))
          census?.add(slot.pages, first: first(of: slot.chunk))
          try slot.encode(encoder)
          try order.emit(slot)
          try progress.update(.backingUp, Int64(slot.chunk + 1) * Int64(GzipMember.chunkSize), of: source.imageSize)
        }
      } catch {
        order.cancel()
        throw error
      }
    }
    let sum = digest.value.finished(pageSize: source.pageSize, pageCount: source.pageCount)
    let counts = tableCounts()
    try sink.finish(trailer(order, digest: sum, digestKey: digestKey, counts))
    return WrittenArchive(size: file.size, checksum: try file.finish(), digest: sum, tableCounts: counts)
  }

  private func hash(_ pages: UnsafeRawBufferPointer, first: UInt32) -> PageDigest {
    var part = PageDigest()
    guard source.pageSize > 0 else { return part }
    if let table { return table.add(pages, first: first, secret: secret) }
    part.add(pages, first: first, pageSize: source.pageSize, lockPage: source.lockPage, secret: secret)
    return part
  }

  private func tableCounts() -> [Identifier: Int64?]? {
    guard let tableRoots else { return nil }
    guard let census else { return tableRoots.isEmpty && source.imageSize == 0 ? [:] : nil }
    let counted = census.counts(tableRoots)
    return Dictionary(uniqueKeysWithValues: tableRoots.keys.map { ($0, counted[$0]) })
  }

  private func trailer(
    _ order: OrderedOutput, digest: [UInt8], digestKey: [UInt8], _ counts: [Identifier: Int64?]?
  ) -> ArchiveTrailer {
    ArchiveTrailer(
      imageSize: UInt64(source.imageSize), payloadSize: order.written, pageCount: source.pageCount, digest: digest,
      digestKey: digestKey, memberStride: order.index.stride, memberOffsets: order.index.offsets,
      tableCounts: counts)
  }

  private func first(of chunk: Int) -> UInt32 {
    source.pageSize == 0 ? 1 : UInt32(Int64(chunk) * Int64(GzipMember.chunkSize) / Int64(source.pageSize)) + 1
  }

  private func read(_ slot: ChunkSlot) throws {
    let offset = Int64(slot.chunk) * Int64(GzipMember.chunkSize)
    slot.count = Int(min(Int64(GzipMember.chunkSize), source.imageSize - offset))
    if slot.count > 0 { try source.read(at: offset, into: slot.room) }
  }
}

/// A digest that several threads add to.
final class SharedDigest: Sendable {
  private let monitor = Monitor()
  // Guarded by `monitor`.
  private nonisolated(unsafe) var sum = PageDigest()

  var value: PageDigest { monitor.locked { sum } }

  func add(_ part: PageDigest) {
    monitor.locked { sum.combine(part) }
  }
}

/// The destination of a payload (image or gzip members) on its way into an archive file; used by
/// one thread at a time.
protocol PayloadSink: AnyObject {
  func write(_ bytes: UnsafeRawBufferPointer) throws
  /// Ends the payload; an authenticated archive adds the trailer.
  func finish(_ trailer: @autoclosure () -> ArchiveTrailer) throws
}

/// No encryption: the payload is the file.
final class PlainSink: PayloadSink {
  private let file: HashingFileWriter

  init(_ file: HashingFileWriter) {
    self.file = file
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws {
    try file.write(bytes)
  }

  func finish(_: @autoclosure () -> ArchiveTrailer) throws {}
}

/// `aes-256-cbc`, the original service's format: salt, IV, ciphertext.
final class CBCSink: PayloadSink {
  private let file: HashingFileWriter
  private let cipher: AESCBC
  private var output: [UInt8] = []

  init(_ file: HashingFileWriter, credentials: Credentials) throws {
    self.file = file
    let salt = try SecretBytes.random(16)
    let vector = try SecretBytes.random(AESCBC.blockSize)
    guard let key = try credentials.master(salt: salt, iterations: AESCBC.iterations) else {
      throw HoldfastError(
        .keyMissing, "aes-256-cbc needs a password, but there is no password",
        hint: "set BACKUP_ENCRYPTION_PASSWORD, or omit --cipher")
    }
    cipher = try AESCBC(key: key, vector: vector, encrypts: true)
    try file.write(salt + vector)
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws {
    if output.count < bytes.count + AESCBC.blockSize {
      output = [UInt8](repeating: 0, count: bytes.count + AESCBC.blockSize)
    }
    try output.withUnsafeMutableBytes { room in
      let count = try cipher.update(bytes, into: room)
      try file.write(UnsafeRawBufferPointer(rebasing: room[..<count]))
    }
  }

  func finish(_: @autoclosure () -> ArchiveTrailer) throws {
    var last = [UInt8](repeating: 0, count: AESCBC.blockSize)
    guard let count = last.withUnsafeMutableBytes({ cipher.finish(into: $0) }) else {
      throw cryptoFailure("AES-256-CBC padding")
    }
    try file.write(Array(last.prefix(count)))
  }
}

/// `aes-256-gcm`: 64 KiB segments in the STREAM construction, then the trailer.
final class GCMSink: PayloadSink {
  private let file: HashingFileWriter
  private let cipher: AESGCM
  private var counter: UInt64 = 0
  private var pending: [UInt8] = []

  init(_ file: HashingFileWriter, payloadKey: SecretBytes) throws {
    self.file = file
    cipher = try AESGCM(key: payloadKey, encrypts: true)
    pending.reserveCapacity(ArchiveHeader.segmentSize)
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes
    if !pending.isEmpty {
      let count = min(rest.count, ArchiveHeader.segmentSize - pending.count)
      pending.append(contentsOf: rest[..<count])
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
      if pending.count == ArchiveHeader.segmentSize {
        try pending.withUnsafeBytes { try seal($0) }
        pending.removeAll(keepingCapacity: true)
      }
    }
    while rest.count >= ArchiveHeader.segmentSize {
      try seal(UnsafeRawBufferPointer(rebasing: rest[..<ArchiveHeader.segmentSize]))
      rest = UnsafeRawBufferPointer(rebasing: rest[ArchiveHeader.segmentSize...])
    }
    pending.append(contentsOf: rest)
  }

  func finish(_ trailer: @autoclosure () -> ArchiveTrailer) throws {
    if !pending.isEmpty { try pending.withUnsafeBytes { try seal($0) } }
    let plain = trailer().encoded()
    var length = ByteWriter()
    length.integer(UInt32(plain.count + AESGCM.tagSize))
    try plain.withUnsafeBytes { try seal($0, last: true, associated: length.bytes) }
    try file.write(length.bytes)
  }

  private func seal(_ plain: UnsafeRawBufferPointer, last: Bool = false, associated: [UInt8] = []) throws {
    let nonce = SegmentNonce.bytes(counter, last: last)
    try file.write(plain.count + AESGCM.tagSize) { output in
      try cipher.seal(plain, nonce: nonce, associated: associated, into: output)
    }
    counter += 1
  }
}

/// The nonce of a segment: its number in 11 bytes, then 1 for the last segment and 0 for any other.
///
/// Source: the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015), with age's layout.
/// The payload key is used for one file only, so a counter is a safe nonce.
enum SegmentNonce {
  static func bytes(_ counter: UInt64, last: Bool) -> [UInt8] {
    var writer = ByteWriter()
    writer.raw([0, 0, 0])
    writer.integer(counter)
    writer.raw([last ? 1 : 0])
    return writer.bytes
  }
}

/// One chunk of an image on its way into an archive, with its buffers. A fixed number of slots is
/// reused.
///
/// `@unchecked Sendable`: a slot belongs to one thread at a time; ``OrderedOutput`` passes it on
/// under its lock.
final class ChunkSlot: @unchecked Sendable {
  // Owned from init to deinit.
  private let input: UnsafeMutableRawBufferPointer
  private let output: UnsafeMutableRawBufferPointer
  /// Number of the chunk, from 0.
  fileprivate(set) var chunk = 0
  /// Bytes of the image.
  var count = 0
  /// The bytes for the archive: a member, or the image's bytes themselves.
  private(set) var payload = UnsafeRawBufferPointer(start: nil, count: 0)

  /// - Parameter largest: bytes of the largest chunk that fits.
  fileprivate init(largest: Int) {
    input = .allocate(byteCount: largest, alignment: 64)
    output = .allocate(byteCount: GzipMember.maximumSize(of: largest), alignment: 64)
  }

  deinit {
    input.deallocate()
    output.deallocate()
  }

  var room: UnsafeMutableRawBufferPointer { .init(rebasing: input[..<count]) }
  var pages: UnsafeRawBufferPointer { .init(room) }

  func encode(_ encoder: GzipMemberEncoder?) throws {
    payload = try encoder.map { .init(rebasing: output[..<(try $0.encode(pages, into: output))]) } ?? pages
  }
}

/// Hands out chunks in order and writes their results in the same order.
///
/// No thread waits for a turn. A thread that finishes early leaves its slot and takes another; a
/// thread that finishes the chunk that is due writes it and all that follow it. Slots are taken
/// before chunks are, so the chunk that is due always has one.
///
/// `@unchecked Sendable`: `next` and the caller's reading are guarded by `reading`; `free`,
/// `ready`, `turn`, `isWriting` and `isCancelled` by `state`; the sink, `written` and `index`
/// belong to the one thread that set `isWriting`.
final class OrderedOutput: @unchecked Sendable {
  private let sink: any PayloadSink
  private let reading = Monitor()
  private let state = Monitor()
  private var next = 0
  private var free: [ChunkSlot]
  private var ready: [Int: ChunkSlot] = [:]
  private var turn = 0
  private var isWriting = false
  private var isCancelled = false
  private(set) var written: UInt64 = 0
  private(set) var index = MemberIndex()

  /// - Parameters:
  ///   - slots: how many chunks may be in progress at once.
  ///   - largest: bytes of the largest chunk.
  init(_ sink: any PayloadSink, slots: Int, largest: Int = GzipMember.chunkSize) {
    self.sink = sink
    free = (0..<slots).map { _ in ChunkSlot(largest: largest) }
  }

  /// Returns the next chunk in a slot, filled by `read` while no other thread reads; nil if no
  /// chunk is left or the work was cancelled.
  func claim(below count: Int, _ read: (ChunkSlot) throws -> Void) throws -> ChunkSlot? {
    guard let slot = acquireSlot() else { return nil }
    let isClaimed = try reading.locked {
      guard next < count else { return false }
      slot.chunk = next
      next += 1
      try read(slot)
      return true
    }
    if isClaimed { return slot }
    release(slot)
    return nil
  }

  private func acquireSlot() -> ChunkSlot? {
    state.locked {
      while free.isEmpty && !isCancelled { state.wait() }
      return isCancelled ? nil : free.removeLast()
    }
  }

  private func release(_ slot: ChunkSlot) {
    state.locked {
      free.append(slot)
      state.wakeAll()
    }
  }

  /// Accepts a finished chunk, and writes the chunks that are due unless another thread is writing.
  func emit(_ slot: ChunkSlot) throws {
    state.locked { ready[slot.chunk] = slot }
    while let due = removeDue() {
      index.add(offset: written)
      try sink.write(due.payload)
      written += UInt64(due.payload.count)
      state.locked {
        turn += 1
        isWriting = false
      }
      release(due)
    }
  }

  private func removeDue() -> ChunkSlot? {
    state.locked {
      guard !isWriting, !isCancelled, let due = ready.removeValue(forKey: turn) else { return nil }
      isWriting = true
      return due
    }
  }

  func cancel() {
    state.locked {
      isCancelled = true
      state.wakeAll()
    }
  }
}
