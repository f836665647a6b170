import BackupEngine
import BackupPolicy
import ObjectStorage

/// This host's memory of one target: its archives, its writer records, and the requests of the
/// month. A list of the target rebuilds the archives, so nothing is flushed but the number of
/// a writer record.
///
/// The file is a sequence of JSON texts (RFC 7464): each one changes the state that the ones before it describe.
/// A cut-off one at the end is ignored.
final class TargetMemo {
  /// Facts beside the archives.
  struct State: Hashable {
    /// This host's writer record; nil before the first.
    var writer: WriterName?
    /// The newest number at the last take-over of the target; nil if there was none.
    var takenOverAt: Int64?
    /// Whether the store creates an object only if its name is free; nil before the probe.
    var hasConditions: Bool?
    /// The marks of the folders that this host has used under the target's path, the present one first.
    var folders: [UInt64] = []
    /// When the target was last listed completely.
    var listed: Timestamp?
    /// When the remains of crashed puts were last looked for; nil before the first use.
    var cleaned: Timestamp?
    /// When the newest backup was last put.
    var put: Timestamp?
    /// The UTC month of ``requests``, such as 2026-11.
    var month = ""
    var requests = RequestCount()
    var sentBytes: Int64 = 0
  }

  private(set) var inventory = RemoteInventory()
  private(set) var state = State()
  /// The records that were read. They never change, so each is read once.
  private(set) var records: [WriterName: RememberedRecord] = [:]
  let upload: UploadRecord
  let path: String
  private let files: any FileOperations
  private let name: String
  private let lockPath: String
  /// Nil for a memo that is only read, and while it rests.
  private var lock: OpenFile?
  /// The file when the memo began to rest.
  private var statusAtRest: FileStatus?
  /// Bytes of the file, and texts in it.
  private var end: Int64 = 0
  private var texts = 0
  private var isCutOff = false
  /// Changes are not written.
  let isReadOnly: Bool
  private let isAgent: Bool

  private static let separator: UInt8 = 0x1E

  /// Reads the memo, and locks it for this process.
  ///
  /// - Parameters:
  ///   - folder: of this host's state.
  ///   - identity: of the target and the repository.
  ///   - isAgent: this process is an agent, which others are told.
  /// - Throws: `busy` if another process writes to the target.
  init(in folder: String, identity: String, name: String, isAgent: Bool, files: any FileOperations) throws {
    (self.isAgent, isReadOnly) = (isAgent, false)
    try files.makeFolders("\(folder)/targets")
    let stem = try Self.stem(folder, identity)
    (path, lockPath, self.files, self.name) = ("\(stem).memo", "\(stem).lock", files, name)
    upload = UploadRecord(path: "\(stem).upload", files: files)
    try acquireLock()
    try read()
    // Behind a cut-off text nothing would be read.
    if isCutOff { try rewrite() }
  }

  private func acquireLock() throws {
    let lock = try files.open(lockPath, .lockFile)
    do {
      guard try files.lock(lock, exclusive: true, wait: false) else {
        throw TargetHolder((try? files.contents(lockPath, limit: 256)) ?? nil).error(name)
      }
      try TargetHolder(isAgent: isAgent).sign(lock, files)
    } catch {
      files.close(lock)
      throw error
    }
    self.lock = lock
  }

  /// Releases the lock, and with it the only open file, until ``resume()``.
  func rest() {
    guard let lock else { return }
    statusAtRest = (try? files.status(path)) ?? nil
    release(lock)
    self.lock = nil
  }

  /// Takes the lock again.
  ///
  /// - Returns: false if another process has changed the memo meanwhile, so that it must be read anew.
  /// - Throws: `busy` if another process writes to the target.
  func resume() throws -> Bool {
    guard lock == nil, !isReadOnly else { return true }
    try acquireLock()
    return try statusAtRest != nil && files.status(path) == statusAtRest
  }

  /// Reads the memo beside a process that writes it. Changes stay in this object.
  init(reading identity: String, in folder: String, files: any FileOperations) throws {
    (isAgent, isReadOnly) = (false, true)
    let stem = try Self.stem(folder, identity)
    (path, lockPath, self.files, name) = ("\(stem).memo", "\(stem).lock", files, "")
    upload = UploadRecord(path: "\(stem).upload", files: files)
    try read()
  }

  deinit { if let lock { release(lock) } }

  private func release(_ lock: OpenFile) {
    lock.unlock()
    files.close(lock)
  }

  private static func stem(_ folder: String, _ identity: String) throws -> String {
    "\(folder)/targets/\(try identity.fileNameHash())"
  }

  private func read() throws {
    guard let bytes = try files.contents(path, limit: 256 << 20) else { return }
    for text in bytes.split(separator: Self.separator) {
      guard case .object(let keys)? = JSONValue(parsing: Array(text)) else { continue }
      apply(keys)
      texts += 1
    }
    end = Int64(bytes.count)
    isCutOff = !bytes.isEmpty && bytes.last != UInt8(ascii: "\n")
  }

  private func apply(_ keys: JSONObject) {
    if let archive = ArchiveRecord.archive(keys) {
      inventory.add(archive)
    } else if case .string(let text)? = keys["removed"], let name = RemoteName(text),
      case .integer(let at)? = keys["at"]
    {
      inventory.remove(name, at: Timestamp(milliseconds: at))
    } else if let remembered = RememberedRecord(keys) {
      records[remembered.record.name] = remembered
    } else if let state = State(keys) {
      self.state = state
    }
  }

  // MARK: Changes

  func add(_ archive: RemoteArchive) throws {
    inventory.add(archive)
    try append(ArchiveRecord.json(archive))
  }

  func prove(_ name: RemoteName, _ point: Point) throws {
    inventory.prove(name, point)
    if let archive = inventory.archives[name] { try append(ArchiveRecord.json(archive)) }
  }

  func remove(_ name: RemoteName, at now: Timestamp) throws {
    inventory.remove(name, at: now)
    try append(["removed": .string(name.text), "at": .integer(now.milliseconds)])
  }

  func add(_ remembered: RememberedRecord) throws {
    records[remembered.record.name] = remembered
    try append(remembered.json)
  }

  /// Forgets the records that are no longer in the target; from the file with the next rewrite.
  func keepRecords(_ present: Set<WriterName>) { records = records.filter { present.contains($0.key) } }

  /// Forgets the archives, of which the next list shows those that are there; in the file with the next
  /// rewrite.
  func forgetArchives() { inventory = RemoteInventory() }

  /// The facts for a plan.
  ///
  /// - Parameter line: empty for a memo that is only read.
  func facts(_ shipping: ShippingFacts, _ line: WriterLine = WriterLine()) -> ReplicationFacts {
    var facts = ReplicationFacts(shipping.points, inventory, line, now: shipping.now)
    (facts.takenOverAt, facts.keyProblem) = (state.takenOverAt, shipping.keyProblem?.message)
    return facts
  }

  /// The present facts about backups that are also here. They are remembered with the next rewrite.
  func update(_ points: [Point]) { inventory.update(points) }

  /// Takes over a complete list of the target.
  func reconcile(_ listed: [RemoteName], now: Timestamp) throws -> RemoteInventory.Difference {
    let difference = inventory.reconcile(listed, now: now)
    state.listed = now
    try rewrite()
    return difference
  }

  /// - Parameter isDurable: flushes the memo.
  func change(isDurable: Bool = false, _ body: (inout State) -> Void) throws {
    body(&state)
    if isDurable { try rewrite() } else { try append(state.json) }
  }

  private func append(_ keys: JSONObject) throws {
    if isReadOnly { return }
    guard texts < 2 * (inventory.archives.count + records.count) + 1000 else { return try rewrite() }
    let file = try files.open(path, .lockFile)
    defer { files.close(file) }
    let bytes = Self.text(keys)
    try bytes.withUnsafeBytes { try files.write(file, $0, at: end) }
    end += Int64(bytes.count)
    texts += 1
  }

  private func rewrite() throws {
    if isReadOnly { return }
    var bytes = Self.text(state.json)
    for record in records.values { bytes += Self.text(record.json) }
    for archive in inventory.archives.values { bytes += Self.text(ArchiveRecord.json(archive)) }
    try files.replace(path, with: bytes)
    end = Int64(bytes.count)
    texts = inventory.archives.count + records.count + 1
  }

  private static func text(_ keys: JSONObject) -> [UInt8] { [separator] + JSONValue.object(keys).encoded() }
}

extension TargetMemo.State {
  fileprivate var json: JSONObject {
    [
      "writer": .optional(writer?.text), "conditions": hasConditions.map { .bool($0) } ?? .null,
      "folders": .array(folders.map { .string(Digits.hexadecimal($0)) }),
      "taken_over_at": .optional(takenOverAt), "listed": .optional(listed?.milliseconds),
      "cleaned": .optional(cleaned?.milliseconds), "put_at": .optional(put?.milliseconds), "month": .string(month),
      "puts": .integer(requests.puts),
      "gets": .integer(requests.gets), "lists": .integer(requests.lists), "deletes": .integer(requests.deletes),
      "sent_bytes": .integer(sentBytes),
    ]
  }

  fileprivate init?(_ keys: JSONObject) {
    guard case .string(let month)? = keys["month"] else { return nil }
    self.month = month
    func number(_ key: String) -> Int64? { if case .integer(let number)? = keys[key] { number } else { nil } }
    if case .string(let text)? = keys["writer"] { writer = WriterName(text) }
    if case .bool(let conditions)? = keys["conditions"] { hasConditions = conditions }
    if case .array(let marks)? = keys["folders"] {
      folders = marks.compactMap { if case .string(let text) = $0 { Digits.hexadecimal(text.utf8) } else { nil } }
    }
    takenOverAt = number("taken_over_at")
    listed = number("listed").map { Timestamp(milliseconds: $0) }
    cleaned = number("cleaned").map { Timestamp(milliseconds: $0) }
    put = number("put_at").map { Timestamp(milliseconds: $0) }
    requests = RequestCount(
      puts: number("puts") ?? 0, gets: number("gets") ?? 0, lists: number("lists") ?? 0,
      deletes: number("deletes") ?? 0)
    sentBytes = number("sent_bytes") ?? 0
  }
}
