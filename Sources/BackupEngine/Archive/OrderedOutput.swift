import BackupPolicy

/// One chunk of an image on its way into an archive, with the buffers for it. A fixed number of them is reused.
///
/// `@unchecked Sendable`: a slot belongs to one thread at a time; ``OrderedOutput`` hands it over under its lock.
final class ChunkSlot: @unchecked Sendable {
  // Owned from init to deinit.
  private let input: UnsafeMutableRawBufferPointer
  private let output: UnsafeMutableRawBufferPointer
  /// Number of the chunk, from 0.
  fileprivate(set) var chunk = 0
  /// Bytes of the image.
  var count = 0
  /// What goes into the archive: a member, or the image's bytes themselves.
  private(set) var payload = UnsafeRawBufferPointer(start: nil, count: 0)

  /// - Parameter largest: bytes of the largest chunk that it has room for.
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
/// Nobody waits for a turn: who finishes early leaves the slot and takes another; who finishes the chunk that is due writes it
/// and all that follow it. Slots are taken before chunks are, so the chunk that is due always has one.
///
/// `@unchecked Sendable`: `next` and the caller's reading are guarded by `reading`; `free`, `ready`, `turn`, `isWriting` and
/// `isCancelled` by `state`; the sink, `written` and `index` belong to the one thread that set `isWriting`.
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
  ///   - slots: how many chunks may be on their way at once.
  ///   - largest: bytes of the largest of them.
  init(_ sink: any PayloadSink, slots: Int, largest: Int = GzipMember.chunkSize) {
    self.sink = sink
    free = (0..<slots).map { _ in ChunkSlot(largest: largest) }
  }

  /// The next chunk in a slot, filled by `read` while nobody else reads; nil when none is left or the work was cancelled.
  func claim(below count: Int, _ read: (ChunkSlot) throws -> Void) throws -> ChunkSlot? {
    guard let slot = takeSlot() else { return nil }
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

  private func takeSlot() -> ChunkSlot? {
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

  /// Takes a finished chunk, and writes whatever is due unless somebody else is at it.
  func emit(_ slot: ChunkSlot) throws {
    state.locked { ready[slot.chunk] = slot }
    while let due = takeDue() {
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

  private func takeDue() -> ChunkSlot? {
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
