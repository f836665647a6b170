import BackupPolicy
import ObjectStorage

/// Reads a writer record.
///
/// - Returns: nil if the bytes are no record of this repository.
package typealias WriterRecordReader = (_ name: WriterName, _ bytes: [UInt8]) throws -> WriterRecord?

/// The targets of one command. One that cannot be read is left out, as long as another can.
package final class BackupSources {
  package let all: [BackupSource]
  /// The errors of the targets that are left out, by position.
  package private(set) var failures: [Int: HoldfastError] = [:]

  /// - Parameter all: in the order in which archives are asked for.
  package init(_ all: [BackupSource]) { self.all = all }

  /// The positions of the targets that can be listed.
  var listed: [Int] { all.indices.filter { all[$0].layout == .target && failures[$0] == nil } }

  /// The addresses of the targets, for messages.
  package var address: String {
    all.filter { $0.layout == .target }.map(\.address).joined(separator: ", ")
  }

  /// Asks each target.
  ///
  /// - Returns: the answers with the positions of the targets.
  /// - Throws: the first error if no target is left.
  func ask<Answer>(
    _ question: (BackupSource) throws(HoldfastError) -> Answer
  ) throws(HoldfastError) -> [(source: Int, answer: Answer)] {
    var answers: [(source: Int, answer: Answer)] = []
    for index in listed {
      do throws(HoldfastError) {
        answers.append((index, try question(all[index])))
      } catch {
        guard error.code != .interrupted else { throw error }
        failures[index] = error
      }
    }
    guard answers.isEmpty, let first = failures.min(by: { $0.key < $1.key }) else { return answers }
    throw first.value
  }

  /// Leaves a target out from now on.
  ///
  /// - Throws: its error if no target is left.
  func leaveOut(_ index: Int, _ error: HoldfastError) throws(HoldfastError) {
    failures[index] = error
    guard error.code != .interrupted, !listed.isEmpty else { throw error }
  }

  /// The targets that are left out, for a person.
  package var warnings: [String] {
    failures.sorted { $0.key < $1.key }.map { "left out, because it cannot be read: \($0.value.message)" }
  }
}

/// One repository in one or several targets.
///
/// All archives are listed at once: an older chain may have the newest backup, because a repository
/// continues it if the newest chain was deleted. But writer records are read only for the chains that
/// are looked at.
package final class RemoteRepository {
  /// 32 hexadecimal digits.
  package let id: String
  package let sources: BackupSources
  package private(set) var contents = RemoteContents([])
  private var places: [Identity: [Place]] = [:]
  /// The archives whose metadata is an object of its own.
  private var withMetadata: Set<Identity> = []
  private var lost: Set<Identity> = []
  /// By target: the writer records that were read, and the names of the others.
  private var records: [Int: [WriterRecord]] = [:]
  private var unread: [Int: [WriterName]] = [:]
  /// The chains that were not looked at yet, the one with the newest backup last; nil before the list.
  private var pending: [ListedChain]?
  private let reader: WriterRecordReader?

  /// By target: the backups that count, as the records say.
  private var lines: [Int: WriterLine] = [:]

  /// The objects of one chain.
  private struct ListedChain {
    /// The highest number in it.
    var newest: Int64 = 0
    /// By target, each with its size in bytes.
    var objects: [Int: [(object: RemoteObject, bytes: Int64)]] = [:]
  }

  /// The facts of a name without the epoch: targets have an archive under different epochs, and one
  /// that was damaged is put again under another one.
  private struct Identity: Hashable {
    let chain, sequence: Int64
    let parent: Int64?
    let bytes: Int64
    let hash: UInt64
    let archive: ArchiveName

    init(_ name: RemoteName) {
      (chain, sequence, parent) = (name.chain, name.sequence, name.parent)
      (bytes, hash, archive) = (name.bytes, name.hash, name.archive)
    }
  }

  /// One object with an archive.
  private struct Place: Hashable {
    /// The position of the target.
    let source: Int
    let name: RemoteName
    /// Whether the object has as many bytes as its name says.
    let isWhole: Bool

    /// The order in which objects with one archive are asked. The last one of a target may have
    /// taken the place of a damaged one.
    static func isBefore(_ left: Place, _ right: Place) -> Bool {
      (left.isWhole ? 0 : 1, left.source, -left.name.epoch) < (right.isWhole ? 0 : 1, right.source, -right.name.epoch)
    }
  }

  /// - Parameter reader: nil if records cannot be read: then every backup counts.
  package init(_ id: String, in sources: BackupSources, reader: WriterRecordReader? = nil) {
    (self.id, self.sources, self.reader) = (id, sources, reader)
  }

  /// The newest of some backups. Looks at no more chains than it must.
  ///
  /// - Parameters:
  ///   - backups: the ones to choose from, the newest first.
  ///   - isWanted: whether one may be chosen.
  func newest(
    of backups: (RemoteContents) -> [RemoteBackup] = \.backups, _ isWanted: (RemoteBackup) -> Bool
  ) throws -> RemoteBackup? {
    try begin()
    while true {
      let found = backups(contents).first(where: isWanted)
      if let found, found.sequence >= pending?.last?.newest ?? .min { return found }
      guard let chain = pending?.popLast() else { return found }
      try look(at: [chain])
    }
  }

  /// Looks at all chains.
  package func listAll() throws {
    try begin()
    let rest = pending ?? []
    guard !rest.isEmpty else { return }
    pending = []
    try look(at: rest)
  }

  private func begin() throws {
    guard pending == nil else { return }
    try listRecords()
    let id = id
    var chains: [Int64: ListedChain] = [:]
    for (source, objects) in try sources.ask({ source throws(HoldfastError) in
      try source.objects(of: id, RemoteName.folder)
    }) {
      for object in objects {
        guard let name = object.object.archiveName else { continue }
        chains[name.chain, default: ListedChain()].newest = max(chains[name.chain]?.newest ?? 0, name.sequence)
        chains[name.chain]?.objects[source, default: []].append(object)
      }
    }
    pending = chains.sorted { ($0.value.newest, $0.key) < ($1.value.newest, $1.key) }.map(\.value)
  }

  /// Lists a chain once more, because an archive of it is gone: another archive of the same backup
  /// may have replaced it.
  package func listAgain(_ chain: Int64) throws {
    for identity in places.keys where identity.chain == chain { places[identity] = [] }
    try list(RemoteName.folder(ofChain: chain))
    lost.formUnion(places.filter(\.value.isEmpty).keys)
    update()
  }

  /// From now on these archives are not used.
  package func lose(_ names: Set<RemoteName>) {
    lost.formUnion(names.map { Identity($0) })
    update()
  }

  /// Where an archive is, in the order in which the places are asked.
  func holders(of name: RemoteName) -> [(source: BackupSource, key: String)] {
    let local = sources.all.filter { $0.layout == .repository }.map { ($0, $0.key(name, in: id)) }
    let there = (places[Identity(name)] ?? []).sorted(by: Place.isBefore)
    return local + there.map { (sources.all[$0.source], "\(id)/\($0.name.text)") }
  }

  /// Whether the metadata of a full is an object beside it.
  func hasMetadata(_ name: RemoteName) -> Bool { withMetadata.contains(Identity(name)) }

  private func list(_ prefix: String) throws {
    let id = id
    for (source, objects) in try sources.ask({ source throws(HoldfastError) in try source.objects(of: id, prefix) }) {
      try add(objects, in: source)
    }
    update()
  }

  private func look(at chains: [ListedChain]) throws {
    for chain in chains {
      for (source, objects) in chain.objects where sources.failures[source] == nil { try add(objects, in: source) }
    }
    update()
  }

  private func add(_ objects: [(object: RemoteObject, bytes: Int64)], in source: Int) throws {
    let read: [(name: WriterName, bytes: [UInt8])]
    do throws(HoldfastError) {
      read = try newRecords(for: objects.map(\.object), in: source)
    } catch {
      return try sources.leaveOut(source, error)
    }
    records[source, default: []] += try read.compactMap { name, bytes in try reader?(name, bytes) }
    lines[source] = WriterLine(records[source] ?? [])
    for (object, bytes) in objects { add(object, of: bytes, in: source) }
  }

  /// Reads the writer records that are later than the oldest of these archives: the earlier ones
  /// have no effect on them. So a restore of the newest backup reads few, however old the target is.
  private func newRecords(
    for objects: [RemoteObject], in source: Int
  ) throws(HoldfastError) -> [(name: WriterName, bytes: [UInt8])] {
    let epochs = objects.compactMap { if case .archive(let name) = $0 { name.epoch } else { nil } }
    guard let oldest = epochs.min(), let names = unread[source] else { return [] }
    var read: [(name: WriterName, bytes: [UInt8])] = []
    for name in names where name.epoch > oldest {
      if let bytes = try sources.all[source].record(name, of: id) { read.append((name, bytes)) }
    }
    unread[source] = names.filter { $0.epoch <= oldest }
    return read
  }

  private func add(_ object: RemoteObject, of bytes: Int64, in source: Int) {
    switch object {
    case .archive(let name):
      let place = Place(source: source, name: name, isWhole: name.bytes == bytes)
      if places[Identity(name)]?.contains(place) != true { places[Identity(name), default: []].append(place) }
    case .metadata(let name): withMetadata.insert(Identity(name))
    case .writer, .probe: break
    }
  }

  private func update() {
    var names: [RemoteName] = []
    var superseded: Set<RemoteName> = []
    for (identity, places) in places where !lost.contains(identity) {
      let counted = places.filter { lines[$0.source]?.counts($0.name) ?? true }
      // In a target in which it was put again later, an archive counts.
      let isExcluded = !Set(places.map(\.source)).isSubset(of: counted.map(\.source))
      guard let name = (counted.isEmpty ? places : counted).min(by: Place.isBefore)?.name else { continue }
      names.append(name)
      if isExcluded { superseded.insert(name) }
    }
    contents = RemoteContents(names, superseded: superseded)
  }

  private func listRecords() throws {
    guard reader != nil else { return }
    let id = id
    for (source, names) in try sources.ask({ source throws(HoldfastError) in try source.writers(of: id) }) {
      unread[source] = names
    }
  }
}

extension RemoteObject {
  /// The archive that the object is, or whose metadata it is.
  fileprivate var archiveName: RemoteName? {
    switch self {
    case .archive(let name), .metadata(let name): name
    case .writer, .probe: nil
    }
  }
}
