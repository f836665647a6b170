import BackupPolicy
import SQLitePages

/// Two points of one chain as pages that are read when they are asked for, and which of those pages differ.
///
/// Heads and trailers of all links are proved to be each other's parents, and every byte that is read is authenticated; what is
/// not read is not proved. Only for chains that are encrypted with `aes-256-gcm`, with few pages in their incrementals.
final class LazyPoints {
  let before: LazyPoint
  let after: LazyPoint
  /// Every page that may differ, and every page that only one of them has.
  let changed: [UInt32]

  /// Bytes of all incrementals' pages, which are kept in memory, and of those that differ.
  private static let mostBytes = 128 << 20

  /// - Returns: nil where the points are not two of one chain, or too much differs for this to be quicker.
  /// - Throws: what reading archives throws.
  init?(_ left: StoredPoint, _ right: StoredPoint, in repository: Repository, _ progress: Progress) throws {
    let chains = [try repository.chain(of: left), try repository.chain(of: right)]
    guard chains[0].full.id == chains[1].full.id, Self.isReadable(chains) else { return nil }
    let open = try chains.map { try OpenChain($0, in: repository) }
    let images = try open.map { try $0.provenImages(repository.credentials) }
    guard images[0].last?.digestKey == images[1].last?.digestKey, images[0].last?.digest == images[1].last?.digest,
      images[0][0].pageSize == images[1][0].pageSize,
      let full = try LazyFull(
        chains[0].full, open[0].files[open[0].files.count - 1], repository.credentials, repository.files)
    else { return nil }
    var stored: [PointID: [UInt32: [UInt8]]] = [:]
    for chain in open { try Self.load(chain, into: &stored, repository, progress) }
    before = LazyPoint(open[0], images[0][0], stored, full)
    after = LazyPoint(open[1], images[1][0], stored, full)
    changed = Self.difference(chains, stored, images.map { $0[0].pageCount })
    guard changed.count * images[0][0].pageSize <= Self.mostBytes else { return nil }
  }

  private static func isReadable(_ chains: [PointChain]) -> Bool {
    var links: [PointID: StoredPoint] = [:]
    for link in chains.flatMap(\.links) { links[link.id] = link }
    let pages = links.values.filter(\.isIncremental).reduce(Int64(0)) {
      $0.addingClamped(
        Int64($1.metadata.pagesStored ?? .max).multipliedClamped(by: Int64($1.metadata.pageSize ?? 65536)))
    }
    return links.values.allSatisfy { $0.name.encrypted && $0.metadata.cipher == .aes256GCM && $0.isAuthenticated }
      && pages <= Int64(mostBytes)
  }

  private static func load(
    _ chain: OpenChain, into stored: inout [PointID: [UInt32: [UInt8]]], _ repository: Repository, _ progress: Progress
  ) throws {
    for (link, file) in zip(chain.chain.links, chain.files) where link.isIncremental && stored[link.id] == nil {
      let reader = try ArchiveReader(
        file, name: link.name, credentials: repository.credentials, progress: progress, repository.files)
      let loaded = LoadedPages(pageSize: link.metadata.pageSize ?? 0)
      _ = try reader.readPages { try loaded.add($0, $1) }
      stored[link.id] = loaded.pages
    }
  }

  /// Pages of the links that only one of the chains has.
  private static func difference(
    _ chains: [PointChain], _ stored: [PointID: [UInt32: [UInt8]]], _ counts: [UInt32]
  ) -> [UInt32] {
    let ids = chains.map { Set($0.links.map(\.id)) }
    var pages: Set<UInt32> = []
    for id in ids[0].symmetricDifference(ids[1]) { pages.formUnion(stored[id, default: [:]].keys) }
    let (fewer, more) = (min(counts[0], counts[1]), max(counts[0], counts[1]))
    if fewer < more { pages.formUnion(fewer + 1...more) }
    return pages.sorted()
  }
}

/// Collects pages; safe from several threads.
private final class LoadedPages: Sendable {
  private let monitor = Monitor()
  private let pageSize: Int
  // Guarded by `monitor`.
  private nonisolated(unsafe) var found: [UInt32: [UInt8]] = [:]

  init(pageSize: Int) { self.pageSize = pageSize }

  var pages: [UInt32: [UInt8]] { monitor.locked { found } }

  func add(_ numbers: ArraySlice<UInt32>, _ bytes: UnsafeRawBufferPointer) throws {
    guard pageSize > 0, bytes.count == numbers.count * pageSize else {
      throw HoldfastError(.archiveCorrupt, "its pages have another size than is recorded")
    }
    monitor.locked {
      for (index, number) in numbers.enumerated() {
        found[number] = Array(bytes[(index * pageSize)..<((index + 1) * pageSize)])
      }
    }
  }
}

/// A point's pages: each from the newest link that has it, else from the full.
final class LazyPoint: DatabasePages {
  let pageSize: Int
  let pageCount: UInt32
  private let links: [[UInt32: [UInt8]]]
  private let full: LazyFull
  // The archives stay open for as long as pages are read.
  private let chain: OpenChain
  private let lockPage: UInt32

  init(_ chain: OpenChain, _ image: LinkImage, _ stored: [PointID: [UInt32: [UInt8]]], _ full: LazyFull) {
    self.chain = chain
    self.full = full
    (pageSize, pageCount) = (image.pageSize, image.pageCount)
    links = chain.chain.links.compactMap { stored[$0.id] }
    lockPage = PageShape.lockPage(pageSize: image.pageSize)
  }

  func read(page number: UInt32, at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
    guard number != lockPage else {
      buffer.initializeMemory(as: UInt8.self, repeating: 0)
      return
    }
    for link in links {
      if let page = link[number] { return buffer.copyBytes(from: page[offset..<(offset + buffer.count)]) }
    }
    try full.read(at: Int64(number - 1) * Int64(pageSize) + Int64(offset), into: buffer)
  }
}
