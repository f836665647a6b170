import Names
import Transfer

/// A place for immutable objects under names: an S3 bucket or a folder.
///
/// All calls block the calling thread, and may come from several threads at once. A key is text with
/// `/` between its parts; ``ObjectKey`` has the rules. If a key was listed, its bytes that are not
/// UTF-8 are kept as `String.pathBytes` defines it, so that it can be fetched again.
package protocol ObjectStore: Sendable {
  /// Stores an object, whole or not at all. It is durable when the call returns.
  ///
  /// If the answer of a store is lost, the object may be there although the call throws. With
  /// ``PutOptions/createOnly``, a second try then throws `exists`.
  func put(_ key: String, _ content: ObjectContent, _ options: PutOptions) throws(StoreError)

  /// Fetches an object, or a range of its bytes.
  ///
  /// - Parameter range: nil for the whole object. A range that starts at or behind the end throws
  ///   `outOfRange`; one that only ends behind it is cut.
  /// - Throws: `missing` if there is no such object.
  func get(_ key: String, range: Range<Int64>?, into sink: HTTPSink) throws(StoreError) -> ObjectData

  /// Returns nil if there is no such object.
  func head(_ key: String) throws(StoreError) -> ObjectInfo?

  /// Returns one page; its `next` is the query for the following one.
  func list(_ query: ListQuery) throws(StoreError) -> ListPage

  /// Removes an object. A missing object is no error.
  func delete(_ key: String) throws(StoreError)

  /// Removes the parts of an upload that will not be continued. If it is unknown, that is no error.
  func abandon(_ upload: UploadState) throws(StoreError)

  /// Removes the remains of puts that ended before their time, by a crash: temporary files, and
  /// uploads in parts.
  ///
  /// - Parameters:
  ///   - folder: a part of the keys; remains of other keys are left alone.
  ///   - age: milliseconds since a file was last written, or since an upload began. A put that takes
  ///     longer fails and begins anew.
  ///   - kept: an upload that the caller will continue.
  /// - Returns: their number.
  func removeLeftovers(in folder: String, olderThan age: Int64, except kept: UploadState?) throws(StoreError) -> Int
}

extension ObjectStore {
  package func removeLeftovers(
    in folder: String, olderThan age: Int64, except kept: UploadState?
  ) throws(StoreError) -> Int { 0 }

  package func put(_ key: String, _ content: ObjectContent) throws(StoreError) {
    try put(key, content, PutOptions())
  }

  /// Fetches a small object into memory.
  package func get(_ key: String, range: Range<Int64>? = nil, limit: Int = 1 << 20) throws(StoreError) -> [UInt8] {
    try get(key, range: range, into: .memory(limit: limit)).bytes
  }

  /// All pages of a query in one.
  ///
  /// - Throws: as ``forEachPage(_:most:_:)``.
  package func listAll(_ query: ListQuery, most: Int = ListQuery.mostNames) throws(StoreError) -> ListPage {
    var all = ListPage(objects: [], folders: [], next: nil)
    try forEachPage(query, most: most) { page throws(StoreError) in
      all.objects += page.objects
      all.folders += page.folders
    }
    return all
  }

  /// Lists page by page.
  ///
  /// - Parameter most: names in all pages. The callers keep them in memory, and a store could go on for ever.
  /// - Throws: `malformed` if the pages have no end or too many names, and the errors of `list`.
  package func forEachPage(
    _ query: ListQuery, most: Int = ListQuery.mostNames, _ body: (ListPage) throws(StoreError) -> Void
  ) throws(StoreError) {
    var query: ListQuery? = query
    var (last, standstills, count) = ("", 0, 0)
    while let asked = query {
      let page = try list(asked)
      count += page.objects.count + page.folders.count
      guard count <= most else {
        throw StoreError(.malformed, "a list has more than \(most) names: no repository has so many objects")
      }
      try body(page)
      // Empty pages are allowed, moto repeats folders in the old form of lists, and some stores do not
      // sort; but a list that ends goes on to later names.
      let names = page.objects.map(\.key) + page.folders
      let newest = names.max { $0.utf8.lexicographicallyPrecedes($1.utf8) } ?? ""
      standstills += 1
      if last.utf8.lexicographicallyPrecedes(newest.utf8) { (last, standstills) = (newest, 0) }
      guard standstills <= 100 else { throw StoreError(.malformed, "the pages of a list have no end") }
      query = page.next
    }
  }
}

/// The bytes of an object to store, with their SHA-256.
package struct ObjectContent: Sendable {
  package enum Source: Sendable {
    case bytes([UInt8])
    /// A range of an open file. The caller keeps it open.
    case file(descriptor: Int32, offset: Int64, length: Int64)
  }

  package let source: Source
  /// 32 bytes.
  package let sha256: [UInt8]

  package init(_ bytes: [UInt8]) {
    source = .bytes(bytes)
    sha256 = Digest.sha256(bytes)
  }

  /// - Parameter sha256: 32 bytes. A store refuses the object if the range has another digest.
  package init(descriptor: Int32, offset: Int64 = 0, length: Int64, sha256: [UInt8]) {
    precondition(sha256.count == 32)
    source = .file(descriptor: descriptor, offset: offset, length: length)
    self.sha256 = sha256
  }

  package var length: Int64 {
    switch source {
    case .bytes(let bytes): Int64(bytes.count)
    case .file(_, _, let length): length
    }
  }
}

package struct PutOptions: Sendable {
  /// Fails with `exists` if the key is taken. Some stores ignore the condition, so a caller that
  /// depends on it probes the store first.
  package var createOnly = false
  /// The store's class, such as `STANDARD_IA`; nil for the bucket's default. Folders ignore it.
  package var storageClass: String?
  /// An upload in parts that an earlier run began. It is continued if it is of the same content.
  package var resume: UploadState?
  /// Is called when an upload in parts has begun, so that the caller can record it.
  package var began: (@Sendable (UploadState) -> Void)?
  /// Is called from any thread when the store has one more part of an upload in parts.
  package var partStored: (@Sendable () -> Void)?
  /// Is called from any thread with the bytes of the content that are sent so far; less than before
  /// if some are sent again. If it returns false, a folder gives the put up; the transfers of other
  /// stores are stopped by their loop.
  package var sent: (@Sendable (Int64) -> Bool)?

  package init(createOnly: Bool = false) { self.createOnly = createOnly }
}

/// An upload in parts that has begun and not ended. With it, another process can continue or remove
/// the upload; the store itself knows the finished parts.
package struct UploadState: Sendable, Hashable, Codable {
  package var key: String
  package var uploadID: String
  /// Of the whole content, 64 hexadecimal digits.
  package var sha256: String
  package var size: Int64
  package var partSize: Int64

  package init(key: String, uploadID: String, sha256: String, size: Int64, partSize: Int64) {
    (self.key, self.uploadID, self.sha256, self.size, self.partSize) = (key, uploadID, sha256, size, partSize)
  }
}

/// The result of a get: the bytes if the sink was memory, and their number in each case.
package struct ObjectData: Sendable {
  package var bytes: [UInt8]
  package var count: Int64
}

package struct ObjectInfo: Sendable, Hashable {
  package var key: String
  package var size: Int64
  /// By the store's clock, milliseconds since the epoch.
  package var modified: Int64?
}

package struct ListQuery: Sendable, Hashable {
  /// Keys that begin with this text.
  package var prefix: String
  /// Keys behind this one in the order of bytes.
  package var startAfter: String?
  /// Keys with a `/` behind the prefix are reported once, as their part up to that `/`.
  package var groupsFolders: Bool
  /// Objects and folders of a page, at most; stores may return fewer.
  package var pageSize: Int
  /// Where the previous page ended, in the words of the store.
  package var token: String?

  package init(prefix: String = "", startAfter: String? = nil, groupsFolders: Bool = false, pageSize: Int = 1000) {
    (self.prefix, self.startAfter, self.groupsFolders, self.pageSize) = (prefix, startAfter, groupsFolders, pageSize)
  }

  /// Far more than the archives of any repository.
  package static let mostNames = 5_000_000
}

package struct ListPage: Sendable, Hashable {
  /// Sorted by the bytes of their keys, if the store keeps its promise.
  package var objects: [ObjectInfo]
  /// Parts of keys up to and with a `/`.
  package var folders: [String]
  /// Nil on the last page.
  package var next: ListQuery?
}
