/// The name of an archive in a target. It carries what planning needs, so that a list of names is
/// an index of the target.
///
/// `points/000000000412/000000000431-000000000430-000007-6123-9f86d081884c7d65-backup_20261122_140258.pages.gz.enc`:
/// the chain, the sequence, the parent's sequence (`full` for a full), the epoch, the size, the
/// first 16 hexadecimal digits of the archive's SHA-256, and the archive's name in the repository.
///
/// A name is never reused for other content, and it is a hint, never evidence: the header of the
/// archive decides, and an archive with another header is damaged.
package struct RemoteName: Hashable, Sendable {
  /// The sequence of the full at the start of the chain.
  package let chain: Int64
  /// The sequence of the backup.
  package let sequence: Int64
  /// The sequence of the backup that the archive needs; nil for a full.
  package let parent: Int64?
  /// The number of the writer record under which it was written; 0 without a record.
  package let epoch: Int
  /// Bytes of the archive.
  package let bytes: Int64
  /// The first 8 bytes of the archive's SHA-256.
  package let hash: UInt64
  package let archive: ArchiveName

  /// The sequences that a name can express, so that the order of names is the order of sequences.
  package static let sequences: ClosedRange<Int64> = 0...999_999_999_999
  /// The epochs that a name can express.
  package static let epochs = 0...999_999

  /// Returns nil if the facts contradict each other, or if a name cannot express them.
  package init?(
    chain: Int64, sequence: Int64, parent: Int64?, epoch: Int, bytes: Int64, hash: UInt64, archive: ArchiveName
  ) {
    guard Self.sequences.contains(sequence), Self.epochs.contains(epoch), bytes >= 0 else { return nil }
    if let parent {
      guard archive.content == .pages, chain >= 0, chain <= parent, parent < sequence else { return nil }
    } else {
      guard archive.content != .pages, chain == sequence else { return nil }
    }
    (self.chain, self.sequence, self.parent, self.epoch) = (chain, sequence, parent, epoch)
    (self.bytes, self.hash, self.archive) = (bytes, hash, archive)
  }

  /// The backup.
  package var id: PointID { archive.id }

  /// The part of the key that follows the folder of the repository.
  package var text: String {
    let parts = [
      Digits.padded(sequence, 12), parent.map { Digits.padded($0, 12) } ?? Self.noParent,
      Digits.padded(Int64(epoch), 6), "\(bytes)", Digits.hexadecimal(hash), archive.text,
    ]
    return Self.folder + Digits.padded(chain, 12) + "/" + parts.joined(separator: "-")
  }

  /// The folder of a chain; it ends with a slash.
  package static func folder(ofChain chain: Int64) -> String { folder + Digits.padded(chain, 12) + "/" }

  /// The folder of all chains.
  package static let folder = "points/"
  private static let noParent = "full"

  /// Reads ``text``; returns nil for every other text, also for one that a person would read as the
  /// same.
  package init?(_ text: String) {
    guard text.utf8.count < RemoteKey.longest, text.utf8.starts(with: Self.folder.utf8) else { return nil }
    let parts = text.utf8.dropFirst(Self.folder.utf8.count).split(
      separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard parts.count == 2, let chain = Digits.number(parts[0], count: 12) else { return nil }
    let fields = parts[1].split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
    guard fields.count == 6, let sequence = Digits.number(fields[0], count: 12),
      let parent = Self.parent(fields[1]), let epoch = Digits.number(fields[2], count: 6),
      let bytes = Digits.number(fields[3]), let hash = Digits.hexadecimal(fields[4]),
      let archive = ArchiveName(String(decoding: fields[5], as: UTF8.self))
    else { return nil }
    self.init(
      chain: chain, sequence: sequence, parent: parent.number, epoch: Int(epoch), bytes: bytes, hash: hash,
      archive: archive)
    // The only spelling of these facts, so that one archive never has two names.
    guard self.text.utf8.elementsEqual(text.utf8) else { return nil }
  }

  private static func parent(_ field: some Collection<UInt8>) -> (number: Int64?, Void)? {
    if field.elementsEqual(noParent.utf8) { return (nil, ()) }
    return Digits.number(field, count: 12).map { ($0, ()) }
  }
}

/// The order of a list of names: chains, and in each the sequences.
extension RemoteName: Comparable {
  package static func < (left: RemoteName, right: RemoteName) -> Bool {
    if (left.chain, left.sequence) != (right.chain, right.sequence) {
      return (left.chain, left.sequence) < (right.chain, right.sequence)
    }
    return left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
  }
}

/// The name of a writer record: who writes from here on.
package struct WriterName: Hashable, Sendable {
  /// From 1.
  package let epoch: Int
  /// Only in stores without conditional writes, in which two writers may use one number.
  package let nonce: UInt64?

  /// Returns nil if a name cannot express the epoch.
  package init?(epoch: Int, nonce: UInt64? = nil) {
    guard epoch > 0, RemoteName.epochs.contains(epoch) else { return nil }
    (self.epoch, self.nonce) = (epoch, nonce)
  }

  /// The folder of all writer records.
  package static let folder = "writers/"

  /// The part of the key that follows the folder of the repository.
  package var text: String {
    Self.folder + Digits.padded(Int64(epoch), 6) + (nonce.map { "-" + Digits.hexadecimal($0) } ?? "")
  }

  /// Reads ``text``; returns nil for every other text.
  package init?(_ text: String) {
    guard text.utf8.count < RemoteKey.longest, text.utf8.starts(with: Self.folder.utf8) else { return nil }
    let fields = text.utf8.dropFirst(Self.folder.utf8.count).split(
      separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
    guard (1...2).contains(fields.count), let epoch = Digits.number(fields[0], count: 6) else { return nil }
    var nonce: UInt64?
    if fields.count == 2 {
      guard let number = Digits.hexadecimal(fields[1]) else { return nil }
      nonce = number
    }
    self.init(epoch: Int(epoch), nonce: nonce)
  }
}

/// A key in a target, without the prefix of the target.
package enum RemoteObject: Hashable, Sendable {
  case archive(RemoteName)
  /// The metadata of a full that is not encrypted or is `aes-256-cbc`. It is written before its
  /// archive, which is the commit.
  case metadata(RemoteName)
  case writer(WriterName)
  /// Written and removed by a check of the target.
  case probe(UInt64)

  /// The part of the key that follows the folder of the repository.
  package var text: String {
    switch self {
    case .archive(let name): name.text
    case .metadata(let name): name.text + Self.metadataEnd
    case .writer(let name): name.text
    case .probe(let number): Self.probes + Digits.hexadecimal(number)
    }
  }

  private static let metadataEnd = ".json"
  private static let probes = "probe/"

  /// Reads ``text``; returns nil for every other text.
  package init?(_ text: String) {
    guard text.utf8.count < RemoteKey.longest else { return nil }
    if let name = RemoteName(text) {
      self = .archive(name)
    } else if text.utf8.reversed().starts(with: Self.metadataEnd.utf8.reversed()),
      let name = RemoteName(String(decoding: text.utf8.dropLast(Self.metadataEnd.utf8.count), as: UTF8.self)),
      name.parent == nil
    {
      self = .metadata(name)
    } else if let name = WriterName(text) {
      self = .writer(name)
    } else if text.utf8.starts(with: Self.probes.utf8),
      let number = Digits.hexadecimal(text.utf8.dropFirst(Self.probes.utf8.count))
    {
      self = .probe(number)
    } else {
      return nil
    }
  }
}

/// A whole key: the repository's folder and an object in it.
package struct RemoteKey: Hashable, Sendable {
  /// The repository ID: 32 hexadecimal digits in lower case.
  package let repository: String
  package let object: RemoteObject

  /// Keys are shorter than this, in bytes, without the prefix of the target.
  package static let longest = 200

  /// Returns nil if the repository ID does not have its form.
  package init?(repository: String, _ object: RemoteObject) {
    guard Digits.isHexadecimal(repository.utf8, count: 32) else { return nil }
    (self.repository, self.object) = (repository, object)
  }

  package var text: String { repository + "/" + object.text }

  /// Reads ``text``; returns nil for every other text.
  package init?(_ text: String) {
    guard text.utf8.count < Self.longest, let slash = text.utf8.firstIndex(of: UInt8(ascii: "/")),
      let object = RemoteObject(String(decoding: text.utf8[text.utf8.index(after: slash)...], as: UTF8.self))
    else { return nil }
    self.init(repository: String(decoding: text.utf8[..<slash], as: UTF8.self), object)
  }
}

/// Numbers as keys spell them.
package enum Digits {
  static func padded(_ number: Int64, _ width: Int) -> String { Int(number).padded(width) }

  package static func hexadecimal(_ number: UInt64) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// Decimal digits, as many as `count` if it is given; returns nil for a number beyond 64 bits.
  static func number(_ digits: some Collection<UInt8>, count: Int? = nil) -> Int64? {
    guard !digits.isEmpty, digits.count <= 19, count == nil || digits.count == count else { return nil }
    var number: Int64 = 0
    for digit in digits {
      guard (48...57).contains(digit) else { return nil }
      let (product, isTooLarge) = number.multipliedReportingOverflow(by: 10)
      let (sum, overflows) = product.addingReportingOverflow(Int64(digit) - 48)
      guard !isTooLarge, !overflows else { return nil }
      number = sum
    }
    return number
  }

  /// 16 digits in lower case.
  package static func hexadecimal(_ digits: some Collection<UInt8>) -> UInt64? {
    guard isHexadecimal(digits, count: 16) else { return nil }
    return digits.reduce(0) { $0 << 4 | UInt64($1 < 58 ? $1 - 48 : $1 - 87) }
  }

  static func isHexadecimal(_ digits: some Collection<UInt8>, count: Int) -> Bool {
    digits.count == count && digits.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
  }
}
