import Glibc
import Synchronization
import Transfer

@testable import ObjectStorage

/// A store in memory that keeps all promises and can vanish for some calls.
final class MemoryStore: ObjectStore {
  /// When the network breaks, relative to the effect of a call.
  enum Outage: Sendable { case before, after }

  private struct State {
    var objects: [String: [UInt8]] = [:]
    var calls = 0
    var outage: (call: Int, Outage)?
  }

  private let state = Mutex(State())
  private let hasConditions: Bool

  init(hasConditions: Bool) { self.hasConditions = hasConditions }

  var objects: [String: [UInt8]] { state.withLock { $0.objects } }

  /// From now on, all calls fail from this one on, which may still have its effect.
  func breakOff(after calls: Int, _ outage: Outage) { state.withLock { $0.outage = ($0.calls + calls, outage) } }
  func repair() { state.withLock { $0.outage = nil } }

  /// Removes an object, as an attacker or a rule of the bucket does.
  func lose(_ key: String) { state.withLock { $0.objects[key] = nil } }

  private func call<Result: Sendable>(
    _ effect: @Sendable (inout State) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    let result: Swift.Result<Result, StoreError> = state.withLock { state in
      state.calls += 1
      let gone = Swift.Result<Result, StoreError>.failure(StoreError(.unreachable, "the test wants it"))
      guard let outage = state.outage, state.calls >= outage.call else {
        do throws(StoreError) { return .success(try effect(&state)) } catch { return .failure(error) }
      }
      if state.calls == outage.call, outage.1 == .after { _ = try? effect(&state) }
      return gone
    }
    return try result.get()
  }

  func put(_ key: String, _ content: ObjectContent, _ options: PutOptions) throws(StoreError) {
    var bytes: [UInt8] = []
    try content.forEachPiece(0..<content.length) { piece throws(StoreError) in bytes += Array(piece) }
    guard ObjectContent(bytes).sha256 == content.sha256 else { throw StoreError(.changed, "another content") }
    let (hasConditions, stored) = (hasConditions, bytes)
    try call { state throws(StoreError) in
      if options.createOnly, hasConditions, state.objects[key] != nil { throw StoreError(.exists, "\(key) is taken") }
      state.objects[key] = stored
    }
  }

  func get(_ key: String, range: Range<Int64>?, into sink: HTTPSink) throws(StoreError) -> ObjectData {
    let all = try call { state throws(StoreError) in
      guard let bytes = state.objects[key] else { throw StoreError(.missing, "there is no \(key)") }
      return bytes
    }
    let asked = (range ?? 0..<Int64(all.count)).clamped(to: 0..<Int64(all.count))
    let bytes = Array(all[Int(asked.lowerBound)..<Int(asked.upperBound)])
    return try deliver(bytes, sink)
  }

  private func deliver(_ bytes: [UInt8], _ sink: HTTPSink) throws(StoreError) -> ObjectData {
    guard Int64(bytes.count) <= sink.limit else { throw StoreError(.tooLarge, "too many bytes") }
    guard case .file(let descriptor, let offset, _) = sink else {
      return ObjectData(bytes: bytes, count: Int64(bytes.count))
    }
    let written = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset)) }
    guard written == bytes.count else { throw StoreError(.local(errno: errno), "cannot write") }
    return ObjectData(bytes: [], count: Int64(bytes.count))
  }

  func head(_ key: String) throws(StoreError) -> ObjectInfo? {
    try call { state throws(StoreError) in state.objects[key].map { ObjectInfo(key: key, size: Int64($0.count)) } }
  }

  func list(_ query: ListQuery) throws(StoreError) -> ListPage {
    let all = try call { state throws(StoreError) in state.objects }
    var page = ListPage(objects: [], folders: [], next: nil)
    for (key, bytes) in all.sorted(by: { $0.key < $1.key }) where key.hasPrefix(query.prefix) {
      if let after = query.startAfter, key <= after { continue }
      let rest = key.dropFirst(query.prefix.count)
      if query.groupsFolders, let slash = rest.firstIndex(of: "/") {
        let folder = query.prefix + rest[...slash]
        if page.folders.last != folder { page.folders.append(folder) }
      } else {
        page.objects.append(ObjectInfo(key: key, size: Int64(bytes.count)))
      }
    }
    return page
  }

  func delete(_ key: String) throws(StoreError) {
    try call { state throws(StoreError) in
      state.objects[key] = nil
    }
  }

  func abandon(_ upload: UploadState) throws(StoreError) {}
}
