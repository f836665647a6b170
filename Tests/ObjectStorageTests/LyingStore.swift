import Synchronization
import Transfer

@testable import ObjectStorage

/// A folder that breaks one promise of a store.
final class LyingStore: ObjectStore {
  enum Lie: CaseIterable {
    case ignoresConditions, refusesConditions, refusesAndReplaces
    case dropsPuts, truncatesPuts, cutsFetches, swapsObjects, ignoresRanges
    case listsLate, listsUnsorted, repeatsNames, skipsNames, listsForEver, forgetsFolders
    case dropsDeletes, deniesAbsence, findsAbsentObjects
  }

  private let honest: FolderStore
  private let lie: Lie
  private let newest = Mutex<String?>(nil)

  init(_ path: String, _ lie: Lie) { (honest, self.lie) = (FolderStore(path), lie) }

  func put(_ key: String, _ content: ObjectContent, _ options: PutOptions) throws(StoreError) {
    newest.withLock { $0 = key }
    var options = options
    switch lie {
    case .ignoresConditions: options.createOnly = false
    case .refusesConditions where options.createOnly:
      throw StoreError(.unsupported, "a header that you provided implies functionality that is not implemented")
    case .refusesAndReplaces where options.createOnly:
      if try honest.head(key) != nil { try honest.put(key, content) }
    case .dropsPuts: return
    case .truncatesPuts where content.length > 1:
      guard case .bytes(let bytes) = content.source else { break }
      return try honest.put(key, ObjectContent(bytes.dropLast()), options)
    default: break
    }
    try honest.put(key, content, options)
  }

  func get(_ key: String, range: Range<Int64>?, into sink: HTTPSink) throws(StoreError) -> ObjectData {
    var key = key
    if lie == .swapsObjects, let other = try honest.listAll(ListQuery()).objects.last(where: { $0.key != key }) {
      key = other.key
    }
    try answerAbsence(key)
    if lie == .findsAbsentObjects, try honest.head(key) == nil { return ObjectData(bytes: [], count: 0) }
    var data = try honest.get(key, range: lie == .ignoresRanges ? nil : range, into: sink)
    if lie == .cutsFetches, case .memory = sink, data.count > 0 {
      data.bytes.removeLast()
      data.count -= 1
    }
    return data
  }

  func head(_ key: String) throws(StoreError) -> ObjectInfo? {
    try answerAbsence(key)
    let info = try honest.head(key)
    return info == nil && lie == .findsAbsentObjects ? ObjectInfo(key: key, size: 0) : info
  }

  private func answerAbsence(_ key: String) throws(StoreError) {
    guard lie == .deniesAbsence, try honest.head(key) == nil else { return }
    throw StoreError(.denied, "access denied")
  }

  func list(_ query: ListQuery) throws(StoreError) -> ListPage {
    var page = try honest.list(query)
    switch lie {
    case .listsLate:
      let late = newest.withLock { $0 }
      page.objects.removeAll { $0.key == late }
    case .listsUnsorted: page.objects.reverse()
    case .repeatsNames: if let last = page.objects.last { page.objects.append(last) }
    case .skipsNames: if query.token != nil, !page.objects.isEmpty { page.objects.removeFirst() }
    case .listsForEver:
      // A page that points to itself, with a token that is always new.
      page.next = query
      page.next?.token = (query.token ?? "") + "a"
    case .forgetsFolders: page.folders = []
    default: break
    }
    return page
  }

  func delete(_ key: String) throws(StoreError) {
    if lie != .dropsDeletes { try honest.delete(key) }
  }

  func abandon(_ upload: UploadState) throws(StoreError) {}
}
