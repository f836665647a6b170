/// The steps and warnings of a restore whose install method is decided.
struct RestoreOutline {
  let request: RestoreRequest
  let facts: RestoreFacts
  let install: Install

  var space: RestoreSpace { RestoreSpace(request, facts, install: install, safety: safetyKind) }

  /// check space → safety → verify → stage → integrity check → install → sync → record.
  var steps: [RestoreStep] {
    var steps = [checkSpace]
    if let safety { steps.append(safety) }
    steps += proof
    steps += installation
    steps.append(RestoreStep(.sync, "flush \(facts.target.path) and its folder to the disk"))
    if install != .newFile { steps.append(RestoreStep(.record, "record the restore in the repository")) }
    return steps
  }

  /// The method to keep the target's content; nil if it has no content or the person waived it.
  var safetyKind: RestoreStep.Kind? {
    guard request.safetyBackup else { return nil }
    switch facts.target.state {
    case .missing, .notAFile, .busy: return nil
    case .unreadable: return .damagedSafetyCopy
    // Independent of SQLite's checks: its pages can be read, so it gets a backup like any other.
    case .database, .empty: return .safetyBackup
    }
  }

  private var path: String { facts.target.path }

  private var checkSpace: RestoreStep {
    let repository = space.repository == 0 ? "" : " and \(ByteCount(space.repository)) in the repository"
    return RestoreStep(
      .checkSpace, "make sure that \(ByteCount(space.target)) is free beside \(path)\(repository)",
      bytes: space.target.addingClamped(space.repository))
  }

  private var safety: RestoreStep? {
    safetyKind.map { kind in
      RestoreStep(
        kind,
        kind == .safetyBackup
          ? "back up the current content of \(path)"
          : "copy \((["\(path)"] + facts.target.sideFiles).listed) as found, including the damage, into the repository",
        bytes: facts.target.safetyBytes(kind))
    }
  }

  private var proof: [RestoreStep] {
    let point = facts.point
    var steps: [RestoreStep] = []
    if request.verifyFirst {
      steps.append(RestoreStep(.verify, "verify \(archives)", bytes: max(0, point.archiveSize)))
    }
    steps.append(
      RestoreStep(.stage, "write the database image beside \(path) and check its digest", bytes: space.staging))
    if request.recheck || (request.verifyFirst && !point.integrityKnown) {
      steps.append(RestoreStep(.integrityCheck, "check the integrity of the staged image"))
    }
    return steps
  }

  /// The archives to read, as text.
  private var archives: String {
    guard let full = facts.point.chain.last else { return "the archive of \(facts.point.id)" }
    let count = facts.point.chain.count - 1
    return "the archives of \(facts.point.id): the full \(full) and \(count) incremental\(count == 1 ? "" : "s")"
  }

  private var installation: [RestoreStep] {
    switch install {
    case .live: [live]
    case .replace: replace
    case .newFile:
      [RestoreStep(.installNew, "put the restored database at \(path)", reliesOn: relied(.absent, sideFiles: []))]
    }
  }

  private var live: RestoreStep {
    var relied = relied(target { .sameFile($0) }, sideFiles: nil)
    if case .database(let database) = facts.target.state {
      relied.layout = DatabaseLayout(pageSize: database.pageSize, textEncoding: database.textEncoding)
    }
    relied.freeSpace = space.log.addingClamped(space.growth)
    return RestoreStep(
      .installLive,
      "write the restored content into \(path) in one transaction; applications continue without a restart",
      bytes: relied.freeSpace, reliesOn: relied)
  }

  /// Never the rename first: SQLite would apply an old WAL or hot journal beside the new file to
  /// it, and an integrity check would call the mixture sound. If the old file opens, SQLite handles
  /// both under its lock; if it does not, the side files are moved before the new file comes.
  private var replace: [RestoreStep] {
    switch facts.target.state {
    case .missing: replaceNothing
    case .database, .empty: [replaceOpened]
    case .unreadable, .notAFile, .busy: replaceUnreadable
    }
  }

  private var replaceNothing: [RestoreStep] {
    let sideFiles = facts.target.sideFiles
    let put = RestoreStep(
      .installReplace, "put the restored database at \(path)", reliesOn: relied(.absent, sideFiles: []))
    guard !sideFiles.isEmpty else { return [put] }
    let move = "move \(sideFiles.listed) aside: left over from a database that is gone"
    return [RestoreStep(.moveSideFiles, move, reliesOn: relied(.absent, sideFiles: sideFiles)), put]
  }

  private var replaceOpened: RestoreStep {
    RestoreStep(
      .installReplace,
      "take SQLite's exclusive lock on \(path), empty its write-ahead log or journal, and rename the restored file over it",
      reliesOn: relied(target { .sameFile($0) }, sideFiles: nil))
  }

  /// The move is a step even if no side file is known: one may appear until then, and the rename
  /// relies on their absence.
  private var replaceUnreadable: [RestoreStep] {
    let sideFiles = facts.target.sideFiles
    let identity = target { .unchanged($0) }
    let move =
      sideFiles.isEmpty
      ? "make sure that there is no -wal or -journal beside \(path)" : "move \(sideFiles.listed) aside"
    return [
      RestoreStep(.moveSideFiles, move, reliesOn: relied(identity, sideFiles: sideFiles)),
      RestoreStep(
        .installReplace, "rename the restored file over \(path)", reliesOn: relied(identity, sideFiles: [])),
    ]
  }

  /// `checkTarget` has ensured that an existing target has an identity.
  private func target(_ identity: (FileFacts) -> TargetIdentity) -> TargetIdentity {
    facts.target.identity.map(identity) ?? .absent
  }

  private func relied(_ target: TargetIdentity, sideFiles: [String]?) -> ReliedFacts {
    ReliedFacts(target: target, sideFiles: sideFiles, pointChecksum: facts.point.checksum)
  }
}
