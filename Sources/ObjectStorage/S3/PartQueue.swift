import Glibc
import Synchronization

/// The parts of an upload that are still to be sent, for several threads. The first failure ends the
/// work of all.
final class PartQueue: Sendable {
  struct Item: Sendable {
    var number: Int
    var range: Range<Int64>
  }

  private struct State {
    var waiting: ArraySlice<Item>
    var sent: [ListingXML.Part] = []
    var failure: StoreError?
  }

  private let state: Mutex<State>

  init(_ items: [Item]) { state = Mutex(State(waiting: items[...])) }

  /// Sends all items, at most `threads` at the same time, and returns the parts in any order.
  func run(
    threads: Int, _ send: @escaping @Sendable (Item) throws(StoreError) -> ListingXML.Part
  ) throws(StoreError) -> [ListingXML.Part] {
    let count = state.withLock { min(threads, $0.waiting.count) }
    let workers = (1..<max(count, 1)).compactMap { _ in Worker { self.work(send) } }
    work(send)
    for worker in workers { worker.join() }
    let (sent, failure) = state.withLock { ($0.sent, $0.failure) }
    if let failure { throw failure }
    return sent
  }

  private func work(_ send: (Item) throws(StoreError) -> ListingXML.Part) {
    while let item = state.withLock({ $0.failure == nil ? $0.waiting.popFirst() : nil }) {
      do throws(StoreError) {
        let part = try send(item)
        state.withLock { $0.sent.append(part) }
      } catch {
        state.withLock { $0.failure = $0.failure ?? error }
      }
    }
  }
}

/// Compares a content with its digest on a thread of its own, while its parts are sent.
final class ContentCheck: Sendable {
  private let failure = Mutex<StoreError?>(nil)
  private let content: ObjectContent

  init(_ content: ObjectContent) { self.content = content }

  /// Starts the check; the returned function waits for its end and throws `changed` if the digest
  /// differs.
  func start() -> () throws(StoreError) -> Void {
    let worker = Worker { self.check() }
    if worker == nil { check() }
    return { () throws(StoreError) in
      worker?.join()
      if let failure = self.failure.withLock({ $0 }) { throw failure }
    }
  }

  private func check() {
    do throws(StoreError) {
      guard try content.digests(0..<content.length, md5: false).sha256 != content.sha256 else { return }
      failure.withLock { $0 = StoreError(.changed, "the content has changed since its digest was taken") }
    } catch {
      failure.withLock { $0 = error }
    }
  }
}

/// A thread for blocking work; Swift's own pool has too few.
private struct Worker {
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
