import BackupPolicy
import CISAL

/// The header of an `aes-256-gcm` archive as stored in the file: fixed part, key slots, CRC, MAC.
struct SealedHeader: Sendable {
  var header: ArchiveHeader
  var fixed: [UInt8]
  var slots: [KeySlot]
  var crc: UInt32
  var mac: [UInt8]

  private static let macInfo = "holdfast header mac v1"
  private static let payloadInfo = "holdfast payload v1"

  /// Bytes before the payload.
  var size: Int { authenticated.count + mac.count }

  var encoded: [UInt8] { authenticated + mac }

  private var checked: [UInt8] {
    var writer = ByteWriter()
    writer.raw(fixed)
    KeySlot.encode(slots, to: &writer)
    return writer.bytes
  }

  private var authenticated: [UInt8] {
    var writer = ByteWriter()
    writer.raw(checked)
    writer.integer(crc)
    return writer.bytes
  }

  /// Seals a new header under every secret in the credentials.
  init(_ header: ArchiveHeader, fileKey: SecretBytes, secrets: ArchiveSecrets) throws {
    try self.init(header, fileKey: fileKey, slots: secrets.slots(for: fileKey))
  }

  /// Seals a new header for a file key that these slots hold.
  init(_ header: ArchiveHeader, fileKey: SecretBytes, slots: [KeySlot]) throws {
    self.header = header
    fixed = header.encoded()
    guard fixed.count <= ArchiveHeader.maximumSize else {
      throw HoldfastError(
        .usage, "description and tags are too long: the header would have \(fixed.count) bytes",
        hint: "at most \(ArchiveHeader.maximumSize) bytes; shorten them")
    }
    self.slots = slots
    crc = 0
    mac = []
    crc = Self.crc(checked)
    mac = try KeyDerivation.hmac(KeyDerivation.hkdf(fileKey, info: Self.macInfo), authenticated)
  }

  /// Reads the header of an archive file; returns nil if the file does not begin with the magic
  /// number.
  ///
  /// - Throws: `archiveCorrupt` if the header is damaged: nothing here needs a key.
  init?(_ file: OpenFile, _ files: any FileOperations) throws {
    let start = try Self.bytes(file, files, count: 1 << 16)
    guard start.starts(with: ArchiveHeader.magic) else { return nil }
    var lengthReader = ByteReader(start.dropFirst(12))
    guard let length = lengthReader.integer(UInt32.self), length >= ArchiveHeader.numbersSize,
      length <= ArchiveHeader.maximumSize
    else { throw Self.damaged("its header is damaged") }
    let bytes =
      Int(length) + (1 << 15) <= start.count ? start : try Self.bytes(file, files, count: Int(length) + (1 << 16))
    var reader = ByteReader(bytes)
    guard let fixed = reader.raw(Int(length)), let slots = KeySlot.decode(&reader) else {
      throw Self.damaged("its header is damaged or cut short")
    }
    let end = reader.position
    guard let crc = reader.integer(UInt32.self), let mac = reader.raw(32), crc == Self.crc(Array(bytes[..<end])) else {
      throw Self.damaged("the CRC of its header is wrong")
    }
    self.fixed = fixed
    self.slots = slots
    self.crc = crc
    self.mac = mac
    header = try ArchiveHeader(fixed)
    guard header.isSealed else { throw Self.damaged("its header belongs to an unencrypted archive") }
  }

  private static func bytes(_ file: OpenFile, _ files: any FileOperations, count: Int) throws -> [UInt8] {
    try [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
      done = try files.read(file, into: UnsafeMutableRawBufferPointer(buffer), at: 0)
    }
  }

  private static func crc(_ bytes: [UInt8]) -> UInt32 {
    bytes.withUnsafeBytes { GzipMember.crc($0) }
  }

  private static func damaged(_ what: String) -> HoldfastError {
    HoldfastError(.archiveCorrupt, what)
  }
}

extension SealedHeader {
  /// Authenticates the header with the credentials and returns the payload key.
  ///
  /// - Throws: `keyMissing` if there is no key or password to try, `wrongKey` if no slot unwraps,
  ///   `archiveCorrupt` if the MAC is wrong although a slot unwrapped: forged or damaged.
  func unlock(_ credentials: Credentials) throws -> SecretBytes {
    try payloadKey(openFileKey(credentials))
  }

  /// The file key, with the same authentication and the same errors.
  func openFileKey(_ credentials: Credentials) throws -> SecretBytes {
    var tried = false
    // Key files first: they need no derivation.
    for slot in slots.sorted(by: { $0.type > $1.type }) {
      guard let secret = try slot.secret(credentials) else { continue }
      tried = true
      guard let fileKey = try slot.unwrap(secret) else { continue }
      let expected = try KeyDerivation.hmac(KeyDerivation.hkdf(fileKey, info: Self.macInfo), authenticated)
      guard KeyDerivation.equal(expected, mac) else { throw Self.damaged("its header is not authentic") }
      return fileKey
    }
    if tried {
      throw HoldfastError(
        .wrongKey, "the password or key does not open it\(credentials.tried)",
        hint: "use the password or key that was set when this backup was stored")
    }
    throw credentials.isEmpty ? Credentials.missing(for: "the archive of \(header.id)") : otherKind(credentials)
  }

  /// A password was given for an archive under a key file, or the reverse.
  private func otherKind(_ credentials: Credentials) -> HoldfastError {
    let (given, needed) = credentials.key == nil ? ("a password", "a key file") : ("a key file", "a password")
    return HoldfastError(
      .keyMissing, "you gave \(given), but it was stored with \(needed)\(credentials.tried)",
      hint:
        "set BACKUP_ENCRYPTION_PASSWORD or BACKUP_ENCRYPTION_KEY_FILE to the value that was used when this backup was stored"
    )
  }

  /// Whether unlocking needs no other derivation than the one for the repository's own salt.
  ///
  /// - Parameter identity: the repository's identity; nil if it is not known.
  func isCheap(_ credentials: Credentials, _ identity: RepositoryIdentity?) -> Bool {
    slots.allSatisfy { slot in
      guard case .password(let iterations, let salt, _, _) = slot, credentials.password != nil else { return true }
      guard let identity, salt == identity.salt, iterations <= KeySlot.defaultIterations else { return false }
      // Every other count would need its own derivation.
      return [identity.iterations, KeySlot.defaultIterations].contains(iterations)
    }
  }

  /// Whether unlocking costs at most one derivation of the usual length.
  func isModest(_ credentials: Credentials) -> Bool {
    let iterations = slots.compactMap { slot in
      if case .password(let count, _, _, _) = slot, credentials.password != nil { count } else { nil }
    }
    return iterations.count <= 1 && iterations.allSatisfy { $0 <= KeySlot.defaultIterations }
  }

  func payloadKey(_ fileKey: SecretBytes) throws -> SecretBytes {
    try KeyDerivation.hkdf(fileKey, salt: SHA256.of(fixed), info: Self.payloadInfo)
  }
}

/// The secrets under which a repository's next archives are sealed.
package struct ArchiveSecrets: Sendable {
  /// PBKDF2's output with its inputs; nil without a password.
  let password: (secret: SecretBytes, salt: [UInt8], iterations: UInt32)?
  let key: SecretBytes?

  /// - Parameters:
  ///   - salt: 16 bytes, shared by the repository, so that a process derives once.
  init(_ credentials: Credentials, salt: [UInt8], iterations: UInt32) throws {
    password = try credentials.master(salt: salt, iterations: iterations).map { ($0, salt, iterations) }
    key = credentials.key
    if password == nil && key == nil { throw Credentials.missing(for: "an encrypted backup") }
  }

  func slots(for fileKey: SecretBytes) throws -> [KeySlot] {
    var slots: [KeySlot] = []
    if let password {
      slots.append(
        try .wrap(fileKey, password: password.secret, salt: password.salt, iterations: password.iterations))
    }
    if let key { slots.append(try .wrap(fileKey, key: key)) }
    return slots
  }

  /// The key of the page hashes: unkeyed hashes beside ciphertext would reveal equal pages.
  func digestKey(repositoryID: [UInt8]) throws -> SecretBytes {
    // One of the two exists: init requires it.
    let secret = key ?? password!.secret
    return try KeyDerivation.hkdf(secret, salt: repositoryID, info: "holdfast digest key v1")
  }
}

/// One way to the file key of an `aes-256-gcm` archive.
enum KeySlot: Hashable, Sendable {
  case password(iterations: UInt32, salt: [UInt8], nonce: [UInt8], wrapped: [UInt8])
  case keyFile(nonce: [UInt8], wrapped: [UInt8])
  /// A type that this program does not know: kept and skipped.
  case unknown(type: UInt8, body: [UInt8])

  static let defaultIterations: UInt32 = 600_000
  /// Fewer iterations give no protection; more would let an archive stall every reader of its
  /// header.
  static let allowedIterations: ClosedRange<UInt32> = 10_000...10_000_000
  /// More slots would only make readers derive keys for minutes.
  static let maximumCount = 32
  private static let wrappedSize = 32 + AESGCM.tagSize

  var type: UInt8 {
    switch self {
    case .password: 1
    case .keyFile: 2
    case .unknown(let type, _): type
    }
  }

  private var body: [UInt8] {
    var writer = ByteWriter()
    switch self {
    case .password(let iterations, let salt, let nonce, let wrapped):
      writer.integer(iterations)
      writer.raw(salt + nonce + wrapped)
    case .keyFile(let nonce, let wrapped): writer.raw(nonce + wrapped)
    case .unknown(_, let body): writer.raw(body)
    }
    return writer.bytes
  }

  static func encode(_ slots: [KeySlot], to writer: inout ByteWriter) {
    writer.integer(UInt16(slots.count))
    for slot in slots {
      let body = slot.body
      writer.raw([slot.type, 0])
      writer.integer(UInt16(body.count))
      writer.raw(body)
    }
  }

  /// Reads all slots; returns nil if they are cut short or malformed.
  static func decode(_ reader: inout ByteReader) -> [KeySlot]? {
    guard let count = reader.integer(UInt16.self), count <= maximumCount else { return nil }
    var slots: [KeySlot] = []
    for _ in 0..<count {
      guard let type = reader.integer(UInt8.self), reader.integer(UInt8.self) != nil,
        let length = reader.integer(UInt16.self), let body = reader.raw(Int(length)),
        let slot = KeySlot(type: type, body: body)
      else { return nil }
      slots.append(slot)
    }
    return slots
  }

  private init?(type: UInt8, body: [UInt8]) {
    var reader = ByteReader(body)
    switch type {
    case 1:
      guard body.count == 32 + Self.wrappedSize, let iterations = reader.integer(UInt32.self),
        let salt = reader.raw(16), let nonce = reader.raw(12), let wrapped = reader.raw(Self.wrappedSize)
      else { return nil }
      self = .password(iterations: iterations, salt: salt, nonce: nonce, wrapped: wrapped)
    case 2:
      guard body.count == 12 + Self.wrappedSize, let nonce = reader.raw(12), let wrapped = reader.raw(Self.wrappedSize)
      else { return nil }
      self = .keyFile(nonce: nonce, wrapped: wrapped)
    default: self = .unknown(type: type, body: body)
    }
  }
}

extension KeySlot {
  /// The secret for a slot, before a wrapping key is derived from it: PBKDF2's output, or the key
  /// file's bytes. Nil if the credentials have nothing for this type.
  ///
  /// - Throws: `archiveCorrupt` if the number of iterations is out of bounds, before anything is
  ///   derived.
  func secret(_ credentials: Credentials) throws -> SecretBytes? {
    switch self {
    case .password(let iterations, let salt, _, _):
      guard Self.allowedIterations.contains(iterations) else {
        throw HoldfastError(
          .archiveCorrupt,
          "the archive's header asks for \(iterations) PBKDF2 iterations, outside \(Self.allowedIterations.lowerBound) to \(Self.allowedIterations.upperBound)",
          hint: "the archive was not written by holdfast, or was changed; use another backup")
      }
      return try credentials.master(salt: salt, iterations: iterations)
    case .keyFile: return credentials.key
    case .unknown: return nil
    }
  }

  /// The file key, or nil if the secret is not the one that wrapped it.
  func unwrap(_ secret: SecretBytes) throws -> SecretBytes? {
    let (info, nonce, wrapped): (String, [UInt8], [UInt8])
    switch self {
    case .password(_, _, let itsNonce, let itsWrapped):
      (info, nonce, wrapped) = (Self.passwordInfo, itsNonce, itsWrapped)
    case .keyFile(let itsNonce, let itsWrapped): (info, nonce, wrapped) = (Self.keyFileInfo, itsNonce, itsWrapped)
    case .unknown: return nil
    }
    let gcm = try AESGCM(key: KeyDerivation.hkdf(secret, info: info), encrypts: false)
    var key = [UInt8](repeating: 0, count: 32)
    let ok = try wrapped.withUnsafeBytes { sealed in
      try key.withUnsafeMutableBytes { try gcm.open(sealed, nonce: nonce, into: $0) }
    }
    return ok ? SecretBytes(key) : nil
  }

  static func wrap(_ fileKey: SecretBytes, password: SecretBytes, salt: [UInt8], iterations: UInt32) throws -> KeySlot {
    let (nonce, wrapped) = try wrap(fileKey, under: password, info: passwordInfo)
    return .password(iterations: iterations, salt: salt, nonce: nonce, wrapped: wrapped)
  }

  static func wrap(_ fileKey: SecretBytes, key: SecretBytes) throws -> KeySlot {
    let (nonce, wrapped) = try wrap(fileKey, under: key, info: keyFileInfo)
    return .keyFile(nonce: nonce, wrapped: wrapped)
  }

  private static let passwordInfo = "holdfast password slot v1"
  private static let keyFileInfo = "holdfast key file slot v1"

  private static func wrap(
    _ fileKey: SecretBytes, under secret: SecretBytes, info: String
  ) throws -> (nonce: [UInt8], wrapped: [UInt8]) {
    let gcm = try AESGCM(key: KeyDerivation.hkdf(secret, info: info), encrypts: true)
    let nonce = try SecretBytes.random(AESGCM.nonceSize)
    var wrapped = [UInt8](repeating: 0, count: wrappedSize)
    try fileKey.withBytes { key in
      try wrapped.withUnsafeMutableBytes { try gcm.seal(key, nonce: nonce, into: $0) }
    }
    return (nonce, wrapped)
  }
}

/// The start of an unencrypted incremental: the fixed part of a header and its CRC-32.
///
/// An unencrypted full is the bare image, but pages alone would not identify their backup.
enum PlainHead {
  /// A reader finds the list of pages behind the header in the first member.
  static let maximumSize = 65536

  static func encode(_ header: ArchiveHeader) throws -> [UInt8] {
    let fixed = header.encoded()
    guard fixed.count <= maximumSize else {
      throw HoldfastError(
        .usage, "description and tags are too long: the header would have \(fixed.count) bytes",
        hint: "at most \(maximumSize) bytes; shorten them")
    }
    var writer = ByteWriter()
    writer.raw(fixed)
    writer.integer(fixed.withUnsafeBytes { GzipMember.crc($0) })
    return writer.bytes
  }

  /// Bytes of the whole header, computed from its first 16.
  static func size(_ start: UnsafeRawBufferPointer) throws -> Int {
    guard start.count >= 16, start.starts(with: ArchiveHeader.magic) else { throw damaged }
    let length = Int(UInt32(bigEndian: start.loadUnaligned(fromByteOffset: 12, as: UInt32.self)))
    guard length >= ArchiveHeader.numbersSize, length <= maximumSize else { throw damaged }
    return length + 4
  }

  static func decode(_ bytes: UnsafeRawBufferPointer) throws -> ArchiveHeader {
    let fixed = UnsafeRawBufferPointer(rebasing: bytes.dropLast(4))
    let crc = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: fixed.count, as: UInt32.self))
    guard GzipMember.crc(fixed) == crc else {
      throw HoldfastError(.archiveCorrupt, "the CRC of its header is wrong")
    }
    let header = try ArchiveHeader(Array(fixed))
    guard !header.isSealed, header.image != nil, header.pageSize > 0 else { throw damaged }
    return header
  }

  /// The header of an unencrypted incremental.
  static func read(_ file: OpenFile, compressed: Bool, _ files: any FileOperations) throws -> ArchiveHeader {
    let source = PlainSource(try HashingFileReader(file, files))
    return try PagesPayload(source, compressed: compressed, tick: {}).readPlainHead()
  }

  private static var damaged: HoldfastError { HoldfastError(.archiveCorrupt, "its header is damaged") }
}
