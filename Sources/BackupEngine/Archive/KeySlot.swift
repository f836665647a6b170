import BackupPolicy

/// One way to the file key of an `aes-256-gcm` archive.
enum KeySlot: Hashable, Sendable {
  case password(iterations: UInt32, salt: [UInt8], nonce: [UInt8], wrapped: [UInt8])
  case keyFile(nonce: [UInt8], wrapped: [UInt8])
  /// A type that this program does not know: kept and skipped.
  case unknown(type: UInt8, body: [UInt8])

  static let defaultIterations: UInt32 = 600_000
  /// Fewer protect nothing, more would be a way to stop whoever reads the header.
  static let allowedIterations: ClosedRange<UInt32> = 10_000...10_000_000
  /// More would only make readers derive keys for minutes.
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

  /// Reads all slots; nil where they are cut short or malformed.
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
  /// The secret behind a slot, before it is turned into a wrapping key: PBKDF2's output, or the key file's bytes.
  /// Nil where the credentials have nothing for this type.
  ///
  /// - Throws: `archiveCorrupt` for iterations out of bounds, before anything is derived.
  func secret(_ credentials: Credentials) throws -> SecretBytes? {
    switch self {
    case .password(let iterations, let salt, _, _):
      guard Self.allowedIterations.contains(iterations) else {
        throw HoldfastError(
          .archiveCorrupt,
          "the archive's header asks for \(iterations) PBKDF2 iterations, outside \(Self.allowedIterations.lowerBound) to \(Self.allowedIterations.upperBound)",
          hint: "the archive was not written by holdfast, or was changed; use another point")
      }
      return try credentials.master(salt: salt, iterations: iterations)
    case .keyFile: return credentials.key
    case .unknown: return nil
    }
  }

  /// The file key, or nil where the secret is not the one that wrapped it.
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
