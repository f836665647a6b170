import BackupEngine
import BackupPolicy
import ObjectStorage

/// The archives in a target as its lists and audits found them. Only what is whole is in the memo.
final class TargetContents {
  private let folder: RemoteFolder
  private let memo: TargetMemo
  private let name: String
  private let environment: EngineEnvironment
  /// The archives in the last list that have the size that their names say.
  private var present: [RemoteName] = []
  /// The archives whose content was read.
  private var audited: Set<RemoteName> = []
  /// The archives about which a warning was logged.
  private var reported: Set<RemoteName> = []
  /// The archives whose headers prove nothing.
  private var forged: Set<RemoteName> = []
  /// The archives that the store has not delivered since the last list.
  private var refused: Set<RemoteName> = []
  /// Known archives that the last list lacked.
  private(set) var gone: [RemoteName] = []
  /// Objects that are not what their names say.
  private(set) var damaged: Set<RemoteName> = []
  /// The backups whose archives in the repository were found to be damaged since the last list.
  private(set) var damagedHere: Set<PointID> = []

  /// - Parameter name: of the target, for messages.
  init(_ folder: RemoteFolder, _ memo: TargetMemo, name: String, _ environment: EngineEnvironment) {
    (self.folder, self.memo, self.name, self.environment) = (folder, memo, name, environment)
  }

  /// Compares a complete list with the memo, and brings the memo up to date.
  func record(_ objects: [(object: RemoteObject, info: ObjectInfo)], at now: Timestamp) throws {
    var listed: [RemoteName] = []
    var cutOff: Set<RemoteName> = []
    for case (.archive(let name), let info) in objects {
      // An object of another size than its name tells is cut off: it does not count.
      if name.bytes == info.size { listed.append(name) } else { cutOff.insert(name) }
    }
    (present, damagedHere, refused) = (listed, [], [])
    damaged = damaged.intersection(listed).union(cutOff)
    listed.removeAll { damaged.contains($0) }
    let recent = try forgetLost(Set(listed), now)
    let lost = try memo.reconcile(listed, now: now).lost
    // A damaged object is reported as such.
    gone = (recent + lost).filter { !damaged.contains($0) }
    if !memo.isReadOnly { warnOfLost() }
  }

  private func warnOfLost() {
    guard let first = gone.min() else { return }
    let words = gone.count == 1 ? "the archive of \(first.id) is" : "\(gone.count) archives, from \(first.id) on, are"
    warn("\(words) gone from it", hint: "what is still here is sent again, if the rules of the target keep it")
  }

  /// A list may lack an object that was put a moment ago, so such objects are asked for one by one.
  private func forgetLost(_ listed: Set<RemoteName>, _ now: Timestamp) throws -> [RemoteName] {
    var lost: [RemoteName] = []
    for archive in memo.inventory.archives.values where !listed.contains(archive.name) {
      guard let put = archive.put, put.adding(seconds: RemoteInventory.doubt) >= now,
        try folder.size(.archive(archive.name)) != archive.name.bytes
      else { continue }
      try memo.remove(archive.name, at: now)
      lost.append(archive.name)
    }
    return lost
  }

  /// Reads all archives that were not read before. Those that are damaged count as missing, so that
  /// they are put again.
  ///
  /// - Parameter line: archives that do not count for it are left out.
  func audit(_ line: WriterLine, _ progress: Progress) throws {
    let names = present.filter { line.counts($0) && !audited.contains($0) }
    try ArchiveAudit(folder: folder, progress: progress).run(names) { name, isDamaged in
      audited.insert(name)
      if isDamaged { damaged.insert(name) }
    }
  }

  /// Adds what is known to the facts for a plan.
  func complete(_ facts: inout ReplicationFacts, at now: Timestamp) {
    (facts.gone, facts.damaged, facts.damagedHere) = (gone, damaged, damagedHere)
    facts.unprovable = forged.union(refused)
    for name in damaged { facts.inventory.remove(name, at: now) }
  }

  /// Takes damaged archives out of the memo, so that they are not built upon.
  func forgetDamaged(at now: Timestamp) throws {
    for name in damaged where memo.inventory.archives[name] != nil { try memo.remove(name, at: now) }
  }

  /// The object was put again, or removed.
  func recordReplacement(of name: RemoteName) {
    damaged.remove(name)
    forged.remove(name)
  }

  /// The archive of a backup in the repository is damaged.
  func recordDamageHere(to id: PointID) {
    damagedHere.insert(id)
    warn("\(id) is not sent, because its archive here is damaged", hint: "holdfast verify \(id)")
  }

  /// Its header was read, and is not of this repository. It is not read again.
  func recordForged(_ name: RemoteName) {
    forged.insert(name)
    report(name, "an archive with the name of \(name.id) is not a backup of this repository")
  }

  /// The store does not deliver its header. It is read again after the next list.
  func recordRefused(_ name: RemoteName, _ error: StoreError) {
    refused.insert(name)
    report(name, "the archive of \(name.id) cannot be read, and stays: \(error.message)")
  }

  /// Each archive is reported once.
  private func report(_ name: RemoteName, _ problem: String) {
    if reported.insert(name).inserted { warn(problem, hint: "holdfast targets check \(self.name)") }
  }

  private func warn(_ message: String, hint: String) {
    environment.logger.warning("target \(name): \(message)", metadata: ["hint": "\(hint)"])
  }
}
