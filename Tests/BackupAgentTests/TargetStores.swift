import ObjectStorage
import Synchronization
import Transfer

/// A store that refuses some requests.
final class RefusingStore: ObjectStore {
  private let base: any ObjectStore
  let refuses = Mutex((puts: false, removals: false))
  /// The error of a refused put.
  let error = Mutex(StoreError(.denied, "not allowed"))
  /// Removals that were refused.
  let refused = Atomic(0)

  init(_ base: any ObjectStore) { self.base = base }

  func put(_ key: String, _ content: ObjectContent, _ options: PutOptions) throws(StoreError) {
    if refuses.withLock({ $0.puts }) { throw error.withLock { $0 } }
    try base.put(key, content, options)
  }

  func delete(_ key: String) throws(StoreError) {
    if refuses.withLock({ $0.removals }) {
      refused.add(1, ordering: .relaxed)
      throw StoreError(.denied, "not allowed")
    }
    try base.delete(key)
  }

  func get(_ key: String, range: Range<Int64>?, into sink: HTTPSink) throws(StoreError) -> ObjectData {
    try base.get(key, range: range, into: sink)
  }
  func head(_ key: String) throws(StoreError) -> ObjectInfo? { try base.head(key) }
  func list(_ query: ListQuery) throws(StoreError) -> ListPage { try base.list(query) }
  func abandon(_ upload: UploadState) throws(StoreError) { try base.abandon(upload) }
}

/// A store whose puts wait for an obstacle.
final class SlowStore: ObjectStore {
  private let base: any ObjectStore
  private let obstacle: @Sendable () -> Void
  private let puts = Atomic(0)

  init(_ base: any ObjectStore, obstacle: @escaping @Sendable () -> Void) {
    (self.base, self.obstacle) = (base, obstacle)
  }

  /// The puts that have not ended.
  var running: Int { puts.load(ordering: .relaxed) }

  func put(_ key: String, _ content: ObjectContent, _ options: PutOptions) throws(StoreError) {
    puts.add(1, ordering: .relaxed)
    defer { puts.subtract(1, ordering: .relaxed) }
    obstacle()
    try base.put(key, content, options)
  }

  func get(_ key: String, range: Range<Int64>?, into sink: HTTPSink) throws(StoreError) -> ObjectData {
    try base.get(key, range: range, into: sink)
  }
  func head(_ key: String) throws(StoreError) -> ObjectInfo? { try base.head(key) }
  func list(_ query: ListQuery) throws(StoreError) -> ListPage { try base.list(query) }
  func delete(_ key: String) throws(StoreError) { try base.delete(key) }
  func abandon(_ upload: UploadState) throws(StoreError) { try base.abandon(upload) }
}
