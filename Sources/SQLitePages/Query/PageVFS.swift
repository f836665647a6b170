import CSQLite
import Glibc
import Synchronization

/// A file system for SQLite (`sqlite3_vfs`) whose only files are ``DatabasePages``: unlocked, without
/// side files, and each write is refused. Connections over it keep temporary data in memory.
enum PageVFS {
  private static let name = "holdfast-pages"

  /// `SQLITE_IOERR_SHORT_READ`; the macro is an expression that Swift does not import.
  private static let shortRead: Int32 = SQLITE_IOERR | (2 << 8)

  /// The pages about to be opened, by the name under which they are opened. Strong: the opened file
  /// takes over the reference.
  private static let waiting = Mutex<[String: Box]>([:])
  private static let count = Atomic<Int>(0)

  /// `@unchecked Sendable`: handed from the opening thread to SQLite's calls on the same connection, never used by two at once.
  private final class Box: @unchecked Sendable {
    let pages: any DatabasePages
    /// Whether SQLite is told so; each write is refused anyway.
    let isReadOnly: Bool

    init(_ pages: any DatabasePages, isReadOnly: Bool) { (self.pages, self.isReadOnly) = (pages, isReadOnly) }
  }

  /// A file as SQLite sees it: its own part first, then ours.
  private struct File {
    var base: sqlite3_file
    /// A retained ``Box``, released when SQLite closes the file.
    var box: UnsafeMutableRawPointer?
  }

  /// - Throws: `DatabaseError`.
  static func open(_ pages: any DatabasePages, path: String) throws(DatabaseError) -> OpaquePointer {
    try offer(Box(pages, isReadOnly: true), path: path) { file throws(DatabaseError) in
      try open(file: file, path: path)
    }
  }

  /// Lets `attach` open the pages by a URI, as a database that SQLite takes for a writable one.
  static func offerAsWritable(
    _ pages: any DatabasePages, path: String, _ attach: (_ uri: String) throws(DatabaseError) -> Void
  ) throws(DatabaseError) {
    try offer(Box(pages, isReadOnly: false), path: path) { file throws(DatabaseError) in
      try attach("file://\(file)?vfs=\(name)")
    }
  }

  private static func offer<Result>(
    _ box: Box, path: String, _ body: (_ file: String) throws(DatabaseError) -> Result
  ) throws(DatabaseError) -> Result {
    guard isRegistered else {
      throw DatabaseError(
        .other, path: path, message: "cannot open \(path): SQLite did not register the page file system")
    }
    let file = "/pages-\(count.wrappingAdd(1, ordering: .relaxed).newValue)"
    waiting.withLock { $0[file] = box }
    defer { waiting.withLock { $0[file] = nil } }
    return try body(file)
  }

  private static func open(file: String, path: String) throws(DatabaseError) -> OpaquePointer {
    let flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_EXRESCODE
    var handle: OpaquePointer?
    let result = sqlite3_open_v2("file://\(file)?immutable=1", &handle, flags, name)
    guard result == SQLITE_OK, let handle else {
      sqlite3_close_v2(handle)
      throw DatabaseError(
        resultCode: result, words: String(cString: sqlite3_errstr(result)), doing: "open", path: path)
    }
    return handle
  }

  // Registered once and kept for the life of the process, as SQLite requires; never changed afterwards.
  private static let isRegistered: Bool = {
    guard let system = sqlite3_vfs_find(nil) else { return false }
    let vfs = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
    var made = system.pointee
    made.iVersion = 1
    made.szOsFile = Int32(MemoryLayout<File>.size)
    made.pNext = nil
    made.zName = UnsafePointer(strdup(name))
    made.xOpen = { _, name, file, _, flags in PageVFS.openFile(name, file, flags) }
    made.xDelete = { _, _, _ in SQLITE_IOERR }
    made.xAccess = { _, _, _, result in
      result?.pointee = 0
      return SQLITE_OK
    }
    made.xFullPathname = { _, name, size, output in
      guard let name, let output, strlen(name) < Int(size) else { return SQLITE_CANTOPEN }
      strcpy(output, name)
      return SQLITE_OK
    }
    // Time, randomness and sleep remain those of the system, which do not use any of its fields
    // that are missing here.
    vfs.initialize(to: made)
    return sqlite3_vfs_register(vfs, 0) == SQLITE_OK
  }()

  private nonisolated(unsafe) static let methods: UnsafeMutablePointer<sqlite3_io_methods> = {
    let methods = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
    var made = sqlite3_io_methods()
    made.iVersion = 1
    made.xClose = { PageVFS.close($0) }
    made.xRead = { PageVFS.read($0, $1, $2, $3) }
    made.xWrite = { _, _, _, _ in SQLITE_READONLY }
    made.xTruncate = { _, _ in SQLITE_READONLY }
    made.xSync = { _, _ in SQLITE_OK }
    made.xFileSize = { PageVFS.size($0, $1) }
    made.xLock = { _, _ in SQLITE_OK }
    made.xUnlock = { _, _ in SQLITE_OK }
    made.xCheckReservedLock = { _, result in
      result?.pointee = 0
      return SQLITE_OK
    }
    made.xFileControl = { _, _, _ in SQLITE_NOTFOUND }
    made.xSectorSize = { _ in 512 }
    made.xDeviceCharacteristics = { PageVFS.isReadOnly($0) ? SQLITE_IOCAP_IMMUTABLE : 0 }
    methods.initialize(to: made)
    return methods
  }()

  private static func openFile(
    _ name: UnsafePointer<CChar>?, _ file: UnsafeMutablePointer<sqlite3_file>?, _ flags: UnsafeMutablePointer<Int32>?
  ) -> Int32 {
    guard let file else { return SQLITE_CANTOPEN }
    file.pointee.pMethods = nil
    guard let name, let box = waiting.withLock({ $0[String(cString: name)] }) else { return SQLITE_CANTOPEN }
    UnsafeMutableRawPointer(file).assumingMemoryBound(to: File.self).pointee.box =
      Unmanaged.passRetained(box).toOpaque()
    file.pointee.pMethods = UnsafePointer(methods)
    flags?.pointee = box.isReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE
    return SQLITE_OK
  }

  private static func isReadOnly(_ file: UnsafeMutablePointer<sqlite3_file>?) -> Bool {
    guard let box = box(file) else { return true }
    return Unmanaged<Box>.fromOpaque(box).takeUnretainedValue().isReadOnly
  }

  private static func box(_ file: UnsafeMutablePointer<sqlite3_file>?) -> UnsafeMutableRawPointer? {
    UnsafeMutableRawPointer(file)?.assumingMemoryBound(to: File.self).pointee.box
  }

  private static func close(_ file: UnsafeMutablePointer<sqlite3_file>?) -> Int32 {
    if let box = box(file) { Unmanaged<Box>.fromOpaque(box).release() }
    return SQLITE_OK
  }

  private static func size(_ file: UnsafeMutablePointer<sqlite3_file>?, _ result: UnsafeMutablePointer<Int64>?) -> Int32
  {
    guard let box = box(file) else { return SQLITE_IOERR }
    let pages = Unmanaged<Box>.fromOpaque(box).takeUnretainedValue().pages
    result?.pointee = Int64(pages.pageSize) * Int64(pages.pageCount)
    return SQLITE_OK
  }

  private static func read(
    _ file: UnsafeMutablePointer<sqlite3_file>?, _ buffer: UnsafeMutableRawPointer?, _ count: Int32, _ offset: Int64
  ) -> Int32 {
    guard let box = box(file), let buffer else { return SQLITE_IOERR }
    let pages = Unmanaged<Box>.fromOpaque(box).takeUnretainedValue().pages
    let end = Int64(pages.pageSize) * Int64(pages.pageCount)
    var done = 0
    while done < Int(count), offset + Int64(done) < end {
      let place = offset + Int64(done)
      let (page, start) = (place / Int64(pages.pageSize), Int(place % Int64(pages.pageSize)))
      let part = min(Int(count) - done, pages.pageSize - start)
      let room = UnsafeMutableRawBufferPointer(start: buffer + done, count: part)
      guard (try? pages.read(page: UInt32(page) + 1, at: start, into: room)) != nil else { return SQLITE_IOERR }
      done += part
    }
    if done < Int(count) {
      memset(buffer + done, 0, Int(count) - done)
      return shortRead
    }
    return SQLITE_OK
  }
}

/// The pages of a database that never changes, in any kind of storage; read by one thread at a
/// time.
package protocol DatabasePages: AnyObject {
  var pageSize: Int { get }
  var pageCount: UInt32 { get }
  /// Fills `buffer` from `offset` in a page.
  ///
  /// - Parameter number: 1-based, at most ``pageCount``.
  func read(page number: UInt32, at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws
}

extension DatabasePages {
  /// One whole page.
  func bytes(ofPage number: UInt32) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: pageSize)
    try bytes.withUnsafeMutableBytes { try read(page: number, at: 0, into: $0) }
    return bytes
  }
}
