import BackupPolicy

/// Some files as one tar (POSIX ustar), readable at any offset without being written out first.
///
/// The files of a damaged database are kept this way: byte for byte, for anyone who can still
/// recover data from them.
struct TarImage: ImageSource {
  let pageSize = 0
  let pageCount: UInt32 = 0
  let imageSize: Int64
  private let files: any FileOperations
  private let parts: [Part]

  private enum Content {
    case bytes([UInt8])
    case file(OpenFile)
  }

  private struct Part {
    var offset: Int64
    var size: Int64
    var content: Content
  }

  private static let block: Int64 = 512

  /// - Parameter members: open files with the names they get in the tar.
  init(_ members: [(name: String, file: OpenFile)], modified: Timestamp, _ files: any FileOperations) throws {
    self.files = files
    var parts: [Part] = []
    var offset: Int64 = 0
    func add(_ content: Content, _ size: Int64) {
      parts.append(Part(offset: offset, size: size, content: content))
      offset += size
    }
    for member in members {
      let size = try files.size(member.file)
      add(.bytes(Self.header(member.name, size: size, modified: modified)), Self.block)
      add(.file(member.file), size)
      let padding = (Self.block - size % Self.block) % Self.block
      if padding > 0 { add(.bytes([UInt8](repeating: 0, count: Int(padding))), padding) }
    }
    // The end of a tar: two blocks of zeros.
    add(.bytes([UInt8](repeating: 0, count: 1024)), 1024)
    self.parts = parts
    imageSize = offset
  }

  func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws {
    for part in parts where part.offset < offset + Int64(buffer.count) && part.offset + part.size > offset {
      let start = max(part.offset, offset)
      let end = min(part.offset + part.size, offset + Int64(buffer.count))
      let room = UnsafeMutableRawBufferPointer(rebasing: buffer[Int(start - offset)..<Int(end - offset)])
      switch part.content {
      case .bytes(let bytes): room.copyBytes(from: bytes[Int(start - part.offset)..<Int(end - part.offset)])
      case .file(let file):
        guard try files.read(file, into: room, at: start - part.offset) == room.count else {
          throw HoldfastError(.factsChanged, "\(file.path) was truncated while it was copied", hint: "try again")
        }
      }
    }
  }

  /// The ustar header: name, mode, owner, size, time, checksum and type at the offsets that POSIX
  /// gives.
  private static func header(_ name: String, size: Int64, modified: Timestamp) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 512)
    func put(_ text: String, at offset: Int) {
      bytes.replaceSubrange(offset..<(offset + text.utf8.count), with: text.utf8)
    }
    func octal(_ value: Int64, digits: Int) -> String {
      let text = String(max(0, value), radix: 8)
      return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
    put(String(decoding: name.utf8.suffix(99), as: UTF8.self), at: 0)
    put("0000600", at: 100)
    put("0000000", at: 108)
    put("0000000", at: 116)
    put(octal(min(size, 0o77777777777), digits: 11), at: 124)
    put(octal(modified.milliseconds / 1000, digits: 11), at: 136)
    put("        0", at: 148)
    put("ustar", at: 257)
    put("00", at: 263)
    put(octal(bytes.reduce(0) { $0 + Int64($1) }, digits: 6), at: 148)
    bytes[154] = 0
    return bytes
  }
}

extension BackupCreator {
  /// Stores files that do not form a sound database, byte for byte: the *damaged safety copy*.
  ///
  /// No SQLite connection of this process has them open, so reading them directly drops no locks.
  func createRaw(_ request: CreateRequest, of paths: [String], database: String) throws -> PointMetadata {
    let started = environment.monotonic()
    return try repository.exclusively(patience: environment.repositoryPatience.stopped(by: progress)) {
      var members: [(name: String, file: OpenFile)] = []
      defer { for member in members { environment.files.close(member.file) } }
      for path in paths { members.append((path.lastComponent, try environment.files.open(path, .read))) }
      let tar = try TarImage(members, modified: environment.now(), environment.files)
      let listing = try repository.listingToStore(isSafety: true, progress)
      let nothing = DatabaseContent()
      var metadata = try describe(request, listing, tar, nothing, database, as: .raw)
      metadata.kind = .raw
      metadata.status = .suspect
      try store(&metadata, request.archive, listing.all, tar, nothing, started: started)
      return metadata
    }
  }
}
