import Transfer

/// Tries the abilities of a store with a few small objects, and removes them.
///
/// A store that only claims an ability is found out by its effect: a refusal of a second put counts
/// only if the first content is still there. Failures of the network end the probe; a refusal for
/// lack of permission is a result.
package struct StoreProbe {
  private let store: any ObjectStore
  /// A folder of this probe, without `/` at its end.
  private let folder: String
  private var found = StoreCapabilities()

  /// In the order of bytes. The last one is in a folder below the folder.
  private static let names = ["1", "1-2", "10", "2", "3/4"]
  /// More than a page, so that a cut or an ignored range shows.
  private static let size = 100

  /// - Parameter folder: a key that no one else uses, for example `ID/probe/RANDOM`.
  package static func run(_ store: any ObjectStore, folder: String) throws(StoreError) -> StoreCapabilities {
    var probe = StoreProbe(store, folder)
    do throws(StoreError) {
      try probe.tryAll()
    } catch {
      probe.cleanUp()
      throw error
    }
    return probe.found
  }

  private init(_ store: any ObjectStore, _ folder: String) { (self.store, self.folder) = (store, folder) }

  private mutating func tryAll() throws(StoreError) {
    try tryCreation()
    try tryAbsence()
    for name in Self.names.dropFirst() { try store.put(key(name), Self.content(name)) }
    try tryReading()
    try tryRanges()
    try tryLists()
    try tryRemoval()
    guard let bucket = store as? any BucketReader else { return }
    found.bucket = try bucket.bucketSettings()
    found.clockDrift = bucket.observedDrift
  }

  // MARK: Steps

  private mutating func tryCreation() throws(StoreError) {
    let (key, content) = (key(Self.names[0]), Self.content(Self.names[0]))
    let condition = PutOptions(createOnly: true)
    do throws(StoreError) {
      try store.put(key, content, condition)
    } catch {
      guard Self.isUnknownCondition(error) else { throw error }
      found.creation = .unsupported
      return try store.put(key, content)
    }
    do throws(StoreError) {
      try store.put(key, Self.content("another"), condition)
      found.creation = .ignored
      // The rest of the probe expects the first content.
      return try store.put(key, content)
    } catch {
      guard error.kind == .exists || error.kind == .conflict else {
        guard Self.isUnknownCondition(error) else { throw error }
        found.creation = .unsupported
        return
      }
    }
    try settleCreation(key, content)
  }

  /// After a refusal of the second put: the first content must still be there.
  private mutating func settleCreation(_ key: String, _ content: ObjectContent) throws(StoreError) {
    switch try attempt({ () throws(StoreError) in try Self.fetch(store, key) == Self.bytes(content) }) {
    case .works: found.creation = .enforced
    case .fails:
      found.creation = .ignored
      try store.put(key, content)
    case .denied, .untried: found.creation = .unproved
    }
  }

  private mutating func tryAbsence() throws(StoreError) {
    found.absence = try attempt { () throws(StoreError) in
      guard try store.head(key("missing")) == nil else { return false }
      do throws(StoreError) {
        _ = try store.get(key("missing"), range: nil, into: .memory(limit: 1000))
        return false
      } catch {
        guard error.kind == .missing else { throw error }
        return true
      }
    }
  }

  private mutating func tryReading() throws(StoreError) {
    found.reading = try attempt { () throws(StoreError) in
      for name in Self.names {
        let expected = Self.bytes(Self.content(name))
        guard try store.head(key(name))?.size == Int64(expected.count) else { return false }
        guard try Self.fetch(store, key(name)) == expected else { return false }
      }
      return true
    }
  }

  private mutating func tryRanges() throws(StoreError) {
    let whole = Self.bytes(Self.content(Self.names[1]))
    found.ranges = try attempt { () throws(StoreError) in
      for range in [0..<1, 10..<20, 90..<100, 95..<200] as [Range<Int64>] {
        let part = try store.get(key(Self.names[1]), range: range, into: .memory(limit: 1000)).bytes
        guard part == Array(whole[Int(range.lowerBound)..<min(whole.count, Int(range.upperBound))]) else {
          return false
        }
      }
      return true
    }
  }

  private mutating func tryLists() throws(StoreError) {
    let keys = Self.names.map(key)
    let prefix = folder + "/"
    found.listing = try attempt { () throws(StoreError) in
      let shown = Set(try pages(ListQuery(prefix: prefix)).flatMap(\.objects).map(\.key))
      return shown.isSuperset(of: keys)
    }
    guard found.listing == .works else { return }
    found.paging = try attempt { () throws(StoreError) in
      let small = try pages(ListQuery(prefix: prefix, pageSize: 2))
      let behind = try pages(ListQuery(prefix: prefix, startAfter: keys[1], pageSize: 2))
      let grouped = try pages(ListQuery(prefix: prefix, groupsFolders: true))
      return small.allSatisfy { $0.objects.count <= 2 } && small.flatMap(\.objects).map(\.key) == keys
        && behind.flatMap(\.objects).map(\.key) == Array(keys[2...])
        && grouped.flatMap(\.objects).map(\.key) == Array(keys.dropLast())
        && grouped.flatMap(\.folders) == [prefix + "3/"]
    }
  }

  private mutating func tryRemoval() throws(StoreError) {
    found.removal = try attempt { () throws(StoreError) in
      for name in Self.names { try store.delete(key(name)) }
      for name in Self.names where found.absence == .works {
        guard try store.head(key(name)) == nil else { return false }
      }
      guard found.listing == .works else { return true }
      return try pages(ListQuery(prefix: folder + "/")).allSatisfy { $0.objects.isEmpty }
    }
  }

  private func cleanUp() {
    for name in Self.names { try? store.delete(key(name)) }
  }

  // MARK: Tools

  /// The result of a try whose failure for lack of permission or by a wrong answer is a result too.
  private func attempt(_ body: () throws(StoreError) -> Bool) throws(StoreError) -> StoreCapabilities.Support {
    do throws(StoreError) {
      return try body() ? .works : .fails
    } catch {
      switch error.kind {
      case .denied: return .denied
      case .missing, .unsupported, .malformed, .tooLarge, .outOfRange, .damaged, .other: return .fails
      default: throw error
      }
    }
  }

  /// All pages, but no more than a store that goes on for ever deserves.
  private func pages(_ query: ListQuery) throws(StoreError) -> [ListPage] {
    var pages: [ListPage] = []
    var next: ListQuery? = query
    while let query = next {
      guard pages.count <= 2 * Self.names.count else {
        throw StoreError(.malformed, "the pages of a list have no end")
      }
      let page = try store.list(query)
      pages.append(page)
      next = page.next
    }
    return pages
  }

  private func key(_ name: String) -> String { "\(folder)/\(name)" }

  /// A content that no other name has.
  private static func content(_ name: String) -> ObjectContent {
    ObjectContent(Array((name + String(repeating: " probe of \(name)", count: size)).utf8.prefix(size)))
  }

  private static func bytes(_ content: ObjectContent) -> [UInt8] {
    guard case .bytes(let bytes) = content.source else { return [] }
    return bytes
  }

  private static func fetch(_ store: any ObjectStore, _ key: String) throws(StoreError) -> [UInt8] {
    try store.get(key, range: nil, into: .memory(limit: 10 * size)).bytes
  }

  /// 501, or 400 with a word about the header.
  private static func isUnknownCondition(_ error: StoreError) -> Bool {
    error.kind == .unsupported || error.status == 501 || (error.status == 400 && error.kind == .other)
  }
}
