import BackupPolicy

/// The facts that an archive itself records of its image and of its parent.
struct LinkImage {
  var pageSize: Int
  var pageCount: UInt32
  /// Nil for an unencrypted full whose metadata is missing.
  var digest: [UInt8]?
  var secret: PageDigest.Secret
  /// The key of the page hashes; empty without encryption.
  var digestKey: [UInt8]
  var parentDigest: [UInt8]

  /// Reads head and trailer, with the key if the archive is encrypted.
  ///
  /// - Throws: `archiveCorrupt`, `wrongKey`, `keyMissing`.
  init(_ point: StoredPoint, _ file: OpenFile, credentials: Credentials, _ files: any FileOperations) throws {
    if point.name.encrypted {
      try self.init(sealed: point, file, credentials, files)
    } else if point.isIncremental {
      let header = try PlainHead.read(file, compressed: point.name.compressed, files)
      guard header.id == point.id, let image = header.image else { throw Self.swapped(header.id) }
      self.init(
        pageSize: Int(header.pageSize), pageCount: image.pageCount, digest: image.digest, secret: .standard,
        digestKey: [], parentDigest: header.parentDigest)
    } else {
      let metadata = point.metadata
      self.init(
        pageSize: metadata.pageSize ?? 0, pageCount: metadata.pageCount ?? 0,
        digest: metadata.digest.flatMap { [UInt8](hex: $0) }, secret: .standard, digestKey: [], parentDigest: [])
    }
  }

  private init(
    sealed point: StoredPoint, _ file: OpenFile, _ credentials: Credentials, _ files: any FileOperations
  ) throws {
    guard let head = try SealedHeader(file, files) else {
      throw HoldfastError.notAnArchive
    }
    guard head.header.id == point.id else { throw Self.swapped(head.header.id) }
    let trailer = try GCMLayout(size: files.size(file), headerSize: head.size, file, files)
      .openTrailer(AESGCM(key: head.unlock(credentials), encrypts: false), file, files)
    self.init(
      pageSize: Int(head.header.pageSize), pageCount: trailer.pageCount, digest: trailer.digest,
      secret: try PageDigest.Secret(key: SecretBytes(trailer.digestKey)), digestKey: trailer.digestKey,
      parentDigest: head.header.parentDigest)
  }

  private init(
    pageSize: Int, pageCount: UInt32, digest: [UInt8]?, secret: PageDigest.Secret, digestKey: [UInt8],
    parentDigest: [UInt8]
  ) {
    self.pageSize = pageSize
    self.pageCount = pageCount
    self.digest = digest
    self.secret = secret
    self.digestKey = digestKey
    self.parentDigest = parentDigest
  }

  /// Whether two archives hold the same image and build on the same one.
  func isSame(as other: LinkImage) -> Bool {
    pageSize == other.pageSize && pageCount == other.pageCount && digest == other.digest
      && digestKey == other.digestKey && parentDigest == other.parentDigest
  }

  private static func swapped(_ id: PointID) -> HoldfastError {
    HoldfastError(.archiveCorrupt, "the file contains \(id): it was renamed or swapped")
  }
}

extension OpenChain {
  /// Returns the heads and trailers of all links. Each link is proven to be its child's parent:
  /// with this very content, not an older file of the same name.
  ///
  /// - Throws: ``ChainFailure``; `wrongKey` and `keyMissing`.
  func provenImages(_ credentials: Credentials) throws -> [LinkImage] {
    var images: [LinkImage] = []
    for (link, file) in zip(chain.links, files) {
      let image = try ChainFailure.blaming(link.id) {
        try LinkImage(link, file, credentials: credentials, operations)
      }
      if let child = images.last { try Self.bind(child, to: image, link.id) }
      images.append(image)
    }
    return images
  }

  private static func bind(_ child: LinkImage, to parent: LinkImage, _ id: PointID) throws {
    func refuse(_ why: String) -> ChainFailure {
      ChainFailure(link: id, error: HoldfastError(.verificationFailed, why))
    }
    // Without encryption a full may have lost its metadata. Then the digest of the whole decides.
    if let digest = parent.digest, digest != child.parentDigest {
      throw refuse("the next backup was made from other content: the file was replaced by another one with its name")
    }
    guard parent.digestKey == child.digestKey else { throw refuse("its digest was computed with another key") }
    guard parent.pageSize == child.pageSize || parent.pageSize == 0 && parent.digest == nil else {
      throw refuse("it has another page size")
    }
  }
}

/// A failure with the link that caused it.
struct ChainFailure: Error {
  var link: PointID
  var error: HoldfastError

  /// Adds the link to an error of its archive. A wrong key or a failing machine is thrown
  /// unchanged.
  static func blaming<Result>(_ link: PointID, _ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch let error as HoldfastError where [.archiveCorrupt, .verificationFailed].contains(error.code) {
      throw ChainFailure(link: link, error: error)
    }
  }

  /// - Parameter point: the backup that was to be read.
  func error(for point: PointID) -> HoldfastError {
    guard link != point else { return error }
    let broken = BrokenLink(id: link, reason: error.message)
    return HoldfastError(
      error.code, "\(link), which it depends on, is not usable: \(error.message)",
      hint: "use an older backup, or one of another chain; holdfast list shows the usable ones", cause: broken)
  }
}
