import Glibc
import Synchronization
import Transfer

/// The parts of an upload that are still to be sent, for several threads. While some send, others
/// read the next parts and compute their digests, so that the store never waits for a digest. The
/// first failure ends the work of all.
final class PartQueue: Sendable {
  struct Item: Sendable {
    var number: Int
    var range: Range<Int64>
  }

  typealias Send = @Sendable (Item, ContentDigests) throws(StoreError) -> ListingXML.Part

  private struct State {
    var unread: ArraySlice<[Item]>
    /// With their digests, in order.
    var ready: [(item: Item, digests: ContentDigests)] = []
    var reading = 0
    var sending = 0
    var sent: [ListingXML.Part] = []
    var failure: StoreError?
  }

  private enum Task {
    case read([Item])
    case send(Item, ContentDigests)
  }

  private let content: ObjectContent
  private let md5: Bool
  /// How many parts are sent at the same time.
  private let width: Int
  private let monitor = TransferMonitor()
  // Guarded by `monitor`.
  private nonisolated(unsafe) var state: State

  /// Groups of parts that are read at the same time: more would only delay the first ones. A single
  /// connection gets the parts in their order.
  private static let mostReaders = 2

  init(_ items: [Item], of content: ObjectContent, md5: Bool, width: Int) {
    (self.content, self.md5, self.width) = (content, md5, max(1, width))
    let groups = stride(from: 0, to: items.count, by: MD5Lanes.count).map {
      Array(items[$0..<min($0 + MD5Lanes.count, items.count)])
    }
    state = State(unread: groups[...])
  }

  /// Sends all items and returns the parts in any order.
  func run(_ send: @escaping Send) throws(StoreError) -> [ListingXML.Part] {
    let count = monitor.locked { state.unread.reduce(0) { $0 + $1.count } }
    // One more, which reads while the others send.
    let threads = min(count, width) + 1
    let workers = (1..<threads).compactMap { _ in WorkerThread { self.work(send) } }
    work(send)
    for worker in workers { worker.join() }
    let (sent, failure) = monitor.locked { (state.sent, state.failure) }
    if let failure { throw failure }
    return sent
  }

  private func work(_ send: Send) {
    while let task = next() {
      do throws(StoreError) {
        switch task {
        case .read(let items):
          let digests = try content.digests(items.map(\.range), md5: md5)
          change { state in
            state.reading -= 1
            state.ready += zip(items, digests).map { ($0, $1) }
          }
        case .send(let item, let digests):
          let part = try send(item, digests)
          change { state in
            state.sending -= 1
            state.sent.append(part)
          }
        }
      } catch {
        change { $0.failure = $0.failure ?? error }
      }
    }
  }

  /// Waits for something to do; nil if nothing is left, or after a failure.
  private func next() -> Task? {
    monitor.locked {
      while true {
        if state.failure != nil { return nil }
        // Reading comes first, so that the next part is ready when a connection is free.
        if state.ready.count < width, state.reading < min(Self.mostReaders, width), let items = state.unread.popFirst()
        {
          state.reading += 1
          return .read(items)
        }
        if !state.ready.isEmpty, state.sending < width {
          state.sending += 1
          let (item, digests) = state.ready.removeFirst()
          return .send(item, digests)
        }
        if state.unread.isEmpty, state.ready.isEmpty, state.reading == 0 { return nil }
        monitor.wait()
      }
    }
  }

  private func change(_ body: (inout State) -> Void) {
    monitor.locked {
      body(&state)
      monitor.wakeAll()
    }
  }
}

/// Compares a content with its digest on a thread of its own, while its parts are sent.
final class ContentCheck: Sendable {
  private let failure = Mutex<StoreError?>(nil)
  private let isNeedless = Atomic(false)
  private let content: ObjectContent

  init(_ content: ObjectContent) { self.content = content }

  /// Starts the check; the returned function waits for its end and throws `changed` if the digest
  /// differs.
  func start() -> () throws(StoreError) -> Void {
    let worker = WorkerThread { self.check() }
    if worker == nil { check() }
    return { () throws(StoreError) in
      worker?.join()
      if let failure = self.failure.withLock({ $0 }) { throw failure }
    }
  }

  /// The content is not sent: the check ends soon, without a result.
  func cancel() { isNeedless.store(true, ordering: .relaxed) }

  private func check() {
    let digest = Digest.sha256()
    do throws(StoreError) {
      try content.forEachPiece(0..<content.length) { piece throws(StoreError) in
        guard !isNeedless.load(ordering: .relaxed) else { throw StoreError(.cancelled, "the check is not needed") }
        digest.update(piece)
      }
      guard digest.finish() != content.sha256 else { return }
      failure.withLock { $0 = StoreError(.changed, "the content has changed since its digest was taken") }
    } catch {
      failure.withLock { $0 = error.kind == .cancelled ? nil : error }
    }
  }
}

/// A thread for blocking work; Swift's own pool has too few.
private struct WorkerThread {
  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  private let thread: pthread_t

  /// Nil if no thread can be created: then the others do the work.
  init?(_ run: @escaping @Sendable () -> Void) {
    let body = Unmanaged.passRetained(Body(run))
    var thread = pthread_t()
    let error = pthread_create(
      &thread, nil,
      { raw in
        if let raw { Unmanaged<Body>.fromOpaque(raw).takeRetainedValue().run() }
        return nil
      }, body.toOpaque())
    guard error == 0 else {
      body.release()
      return nil
    }
    self.thread = thread
  }

  func join() { pthread_join(thread, nil) }
}
