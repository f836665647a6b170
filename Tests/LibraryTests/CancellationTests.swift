import BackupEngine
import Glibc
import Synchronization
import TestSupport
import Testing

@Suite("Work of the library's calls", .ownThread)
struct CancellationTests {
  /// More calls than the pool has threads, all of them blocked until another task runs: if they ran
  /// on the pool, the task could not.
  @Test("Blocking work leaves the pool to other tasks")
  func threads() async throws {
    let bed = try LibraryBed(rows: 2000)
    let service = try bed.plainService()
    let gate = Gate()
    // Each priority has a pool of its own: in the one of the other tests, which may be busy, the opener
    // would wait for them.
    try await Task(priority: .high) {
      let started = AsyncStream<Void>.makeStream()
      let opener = Task {
        for await _ in started.stream { break }
        gate.open()
      }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<sysconf(Int32(_SC_NPROCESSORS_ONLN)) + 2 {
          group.addTask {
            try await service.create { _, _, _ in
              started.continuation.yield()
              gate.wait()
            }
          }
        }
        try await group.waitForAll()
      }
      await opener.value
    }.value
    #expect(!gate.gaveUp, "no task ran while calls were at work")
  }

  @Test("A cancelled task leaves no backup behind, and the next call works")
  func cancellation() async throws {
    let bed = try LibraryBed(rows: 20000)
    let service = try bed.plainService()
    let started = AsyncStream<Void>.makeStream()
    let gate = Gate()
    let task = Task {
      try await service.create { _, _, _ in
        started.continuation.yield()
        gate.wait()
      }
    }
    for await _ in started.stream { break }
    task.cancel()
    gate.open()
    let error = await #expect(throws: HoldfastError.self) { try await task.value }
    #expect(error?.code == .interrupted)
    #expect(try await service.list().isEmpty)
    let leftovers = try SystemFileOperations().list(bed.backups).filter { $0.hasPrefix(".tmp-") || $0.hasSuffix(".gz") }
    #expect(leftovers.isEmpty)
    try await service.create()
    #expect(try await service.list().count == 1)
  }

  @Test("If a task is cancelled before the call, the call does nothing")
  func cancelledBefore() async throws {
    let bed = try LibraryBed(rows: 1)
    let service = try bed.plainService()
    let task = Task {
      while !Task.isCancelled { await Task.yield() }
      return try await service.create()
    }
    task.cancel()
    let error = await #expect(throws: HoldfastError.self) { try await task.value }
    #expect(error?.code == .interrupted)
    #expect(try SystemFileOperations().status(bed.backups) == nil)
  }

  @Test("Several calls at once store backups with different IDs")
  func concurrently() async throws {
    let bed = try LibraryBed(rows: 100)
    let service = try bed.plainService()
    let ids = try await withThrowingTaskGroup(of: PointID.self) { group in
      for _ in 0..<6 { group.addTask { try await service.create().id } }
      return try await group.reduce(into: Set()) { $0.insert($1) }
    }
    #expect(ids.count == 6)
    #expect(try await Set(service.list().map(\.id)) == ids)
  }
}

/// Holds threads until it is opened; gives up after a time that only a deadlock explains.
private final class Gate: Sendable {
  private let isOpen = Atomic(false)
  private let hasGivenUp = Atomic(false)

  var gaveUp: Bool { hasGivenUp.load(ordering: .sequentiallyConsistent) }

  func open() { isOpen.store(true, ordering: .sequentiallyConsistent) }

  func wait() {
    for _ in 0..<20000 where !isOpen.load(ordering: .sequentiallyConsistent) { usleep(1000) }
    guard !isOpen.load(ordering: .sequentiallyConsistent) else { return }
    hasGivenUp.store(true, ordering: .sequentiallyConsistent)
    open()
  }
}
