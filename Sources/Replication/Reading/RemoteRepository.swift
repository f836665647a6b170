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

/// One repository in one or several targets, as far as it was listed.
///
/// The lists of chains and of the newest chain suffice for the newest backup. Everything else needs
/// a list of all archives.
package final class RemoteRepository {
  /// 32 hexadecimal digits.
  package let id: String
  package let sources: BackupSources
  package private(set) var contents = RemoteContents([])
  /// Where each archive is: the target and the key there. The epochs of targets differ, and with
  /// them the keys of one archive.
  private var places: [RemoteName: [(source: Int, object: RemoteObject)]] = [:]
  /// The names of the same archive in other targets.
  private var names: [Identity: RemoteName] = [:]
  private var superseded: Set<RemoteName> = []
  /// The archives whose metadata is an object of its own.
  private var withMetadata: Set<RemoteName> = []
  private var lost: Set<RemoteName> = []
  /// By target: the writer records that were read, and the names of the others.
  private var records: [Int: [WriterRecord]] = [:]
  private var unread: [Int: [WriterName]] = [:]
  /// The chains that are not listed yet, the oldest first; nil before they are known.
  private var pending: [Int64]?
  private var isListed = false
  private let reader: WriterRecordReader?

  /// The facts of a name without the epoch.
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

  /// - Parameter reader: nil if records cannot be read: then every backup counts.
  package init(_ id: String, in sources: BackupSources, reader: WriterRecordReader? = nil) {
    (self.id, self.sources, self.reader) = (id, sources, reader)
  }

  /// Lists the newest chain that is not listed yet.
  ///
  /// - Returns: false if there is none.
  package func listNextChain() throws -> Bool {
    guard !isListed else { return false }
    if pending == nil {
      let answers = try sources.ask { source throws(HoldfastError) in try source.chains(of: id) }
      pending = Set(answers.flatMap(\.answer)).sorted()
      try listRecords()
    }
    guard let chain = pending?.popLast() else { return false }
    try list(RemoteName.folder(ofChain: chain))
    return true
  }

  /// Lists everything.
  package func listAll() throws {
    guard !isListed else { return }
    if pending == nil { try listRecords() }
    try list(RemoteName.folder)
    (isListed, pending) = (true, [])
  }

  /// Lists a chain once more, because an archive of it is gone: another archive of the same backup
  /// may have replaced it.
  package func listAgain(_ chain: Int64) throws {
    for name in contents.names where name.chain == chain { places[name] = [] }
    try list(RemoteName.folder(ofChain: chain))
    lose(Set(places.filter(\.value.isEmpty).keys))
  }

  /// From now on these archives are not used.
  package func lose(_ names: Set<RemoteName>) {
    lost.formUnion(names)
    update()
  }

  /// Where an archive is.
  func holders(of name: RemoteName) -> [(source: BackupSource, key: String)] {
    let local = sources.all.filter { $0.layout == .repository }.map { ($0, $0.key(name, in: id)) }
    return local + (places[name] ?? []).map { (sources.all[$0.source], "\(id)/\($0.object.text)") }
  }

  /// Whether the metadata of a full is an object beside it.
  func hasMetadata(_ name: RemoteName) -> Bool { withMetadata.contains(name) }

  private func list(_ prefix: String) throws {
    let id = id
    for (source, objects) in try sources.ask({ source throws(HoldfastError) in try source.objects(of: id, prefix) }) {
      let read: [(name: WriterName, bytes: [UInt8])]
      do throws(HoldfastError) {
        read = try newRecords(for: objects, in: source)
      } catch {
        try sources.leaveOut(source, error)
        continue
      }
      records[source, default: []] += try read.compactMap { name, bytes in try reader?(name, bytes) }
      for object in objects { add(object, in: source) }
    }
    findSuperseded()
    update()
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

  private func findSuperseded() {
    superseded = []
    for (source, records) in records {
      let line = WriterLine(records)
      for (name, places) in places {
        for case (source, .archive(let there)) in places where !line.counts(there) { superseded.insert(name) }
      }
    }
  }

  private func add(_ object: RemoteObject, in source: Int) {
    switch object {
    case .archive(let name):
      let known = names[Identity(name)] ?? name
      names[Identity(name)] = known
      if !(places[known] ?? []).contains(where: { $0.source == source }) {
        places[known, default: []].append((source, object))
      }
    case .metadata(let name): withMetadata.insert(names[Identity(name)] ?? name)
    case .writer, .probe: break
    }
  }

  private func update() {
    contents = RemoteContents(places.keys.filter { !lost.contains($0) }, superseded: superseded)
  }

  private func listRecords() throws {
    guard reader != nil else { return }
    let id = id
    for (source, names) in try sources.ask({ source throws(HoldfastError) in try source.writers(of: id) }) {
      unread[source] = names
    }
  }
}
