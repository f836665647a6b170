import CSQLite
import Glibc
import Synchronization

/// Stops a connection's statements as soon as somebody asks for it.
///
/// SQLite's integrity check is one instruction of its virtual machine, and looks only for `sqlite3_interrupt`; so a thread asks
/// whether to stop, some times a second, for as long as the statements run.
///
/// `@unchecked Sendable`: the handle is only interrupted, which any thread may do while the connection is open, and ``end()``
/// joins the thread before the connection can be closed.
private final class Interrupter: @unchecked Sendable {
  /// Microseconds.
  private static let pause: useconds_t = 50000

  private let handle: OpaquePointer
  private let isStopped: @Sendable () -> Bool
  private let isOver = Atomic(false)
  private var thread: pthread_t?

  init(_ handle: OpaquePointer, _ isStopped: @escaping @Sendable () -> Bool) {
    self.handle = handle
    self.isStopped = isStopped
    var thread = pthread_t()
    // `end()` joins the thread before this goes away, so it needs no reference of its own.
    let context = Unmanaged.passUnretained(self).toOpaque()
    let created = pthread_create(
      &thread, nil,
      {
        Unmanaged<Interrupter>.fromOpaque($0!).takeUnretainedValue().watch()
        return nil
      }, context)
    // Without a thread the statements run to their end.
    self.thread = created == 0 ? thread : nil
  }

  private func watch() {
    while !isOver.load(ordering: .acquiring) {
      // Again and again: an interrupt between two statements is lost.
      if isStopped() { sqlite3_interrupt(handle) }
      usleep(Self.pause)
    }
  }

  func end() {
    guard let thread else { return }
    isOver.store(true, ordering: .releasing)
    pthread_join(thread, nil)
    self.thread = nil
  }
}

extension DatabaseConnection {
  /// Runs `body`, whose statements throw `.interrupted` soon after `isStopped` has become true.
  ///
  /// - Parameter isStopped: asked from another thread.
  package func interrupted<Result>(
    when isStopped: @escaping @Sendable () -> Bool, _ body: () throws -> Result
  ) throws -> Result {
    guard let handle else { return try body() }
    let interrupter = Interrupter(handle, isStopped)
    defer { interrupter.end() }
    return try body()
  }
}
