import ObjectStorage
import Synchronization
import Transfer

/// A store that counts the calls, and can be made to fail or to hide objects.
final class CountingStore: ObjectStore {
  struct Counts: Hashable {
    var lists = 0
    var gets = 0
  }

  private let store: any ObjectStore
  private let counted = Mutex(Counts())
  private let failing = Mutex<StoreError.Kind?>(nil)
  private let lost = Mutex<Set<String>>([])
  private let piece = Mutex<Int64?>(nil)
  private let hook = Mutex<(@Sendable (String) -> Void)?>(nil)

  init(_ store: any ObjectStore) { self.store = store }

  var counts: Counts { counted.withLock { $0 } }

  /// From now on every call fails.
  func fail(_ kind: StoreError.Kind?) { failing.withLock { $0 = kind } }

  /// Keys that a list still shows, and that are gone.
  func lose(_ key: String) { lost.withLock { _ = $0.insert(key) } }

  /// From now on a connection breaks after this many bytes.
  func breakAfter(_ bytes: Int64) { piece.withLock { $0 = bytes } }

  /// Called before each get, with the key.
  func beforeGet(_ action: @escaping @Sendable (String) -> Void) { hook.withLock { $0 = action } }

  private func check() throws(StoreError) {
    if let kind = failing.withLock({ $0 }) { throw StoreError(kind, "the test wants it") }
  }

  func list(_ query: ListQuery) throws(StoreError) -> ListPage {
    counted.withLock { $0.lists += 1 }
    try check()
    return try store.list(query)
  }

  func get(_ key: String, range: Range<Int64>?, into sink: HTTPSink) throws(StoreError) -> ObjectData {
    counted.withLock { $0.gets += 1 }
    try check()
    hook.withLock { $0 }?(key)
    guard !lost.withLock({ $0.contains(key) }) else { throw StoreError(.missing, "there is no such object") }
    if let piece = piece.withLock({ $0 }), let range, range.count > piece {
      _ = try store.get(key, range: range.lowerBound..<range.lowerBound + piece, into: sink)
      throw StoreError(.unreachable, "the connection broke")
    }
    return try store.get(key, range: range, into: sink)
  }

  func put(_ key: String, _ content: ObjectContent, _ options: PutOptions) throws(StoreError) {
    throw StoreError(.denied, "a reader never writes")
  }

  func head(_ key: String) throws(StoreError) -> ObjectInfo? { throw StoreError(.denied, "not needed") }
  func delete(_ key: String) throws(StoreError) { throw StoreError(.denied, "a reader never removes") }
  func abandon(_ upload: UploadState) throws(StoreError) { throw StoreError(.denied, "a reader never writes") }
}
