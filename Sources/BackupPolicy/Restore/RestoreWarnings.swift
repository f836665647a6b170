extension RestoreOutline {
  /// Warnings for a person before they confirm; lower case, no full stop.
  func warnings(provisional: Bool) -> [String] {
    targetWarnings + pointWarnings(provisional: provisional)
  }

  private var targetWarnings: [String] {
    let target = facts.target
    var warnings: [String] = []
    if install != .newFile, target.state != .missing, !request.safetyBackup {
      warnings.append("no safety backup: the current content of \(target.path) cannot be restored afterwards")
    }
    if safetyKind == .damagedSafetyCopy, case .unreadable(let reason) = target.state {
      warnings.append(
        "\(target.path) cannot be opened: \(reason); it is kept as a raw copy, which no command restores")
    }
    if install == .replace, target.state == .missing, !target.sideFiles.isEmpty {
      warnings.append(
        "\(target.sideFiles.listed) may hold the last changes of a database that is gone; kept under another name")
    }
    if install == .replace, !target.openBy.isEmpty {
      warnings.append(
        "\(target.openBy.listed) has \(target.path) open and has to be restarted to see the restored content")
    }
    return warnings
  }

  /// If the flaw is old, the newest backup without findings may be very old. So it is named, but
  /// not used instead.
  private var flawWarnings: [String] {
    guard let flaw = facts.point.flaw else { return [] }
    let found =
      "SQLite's checks found a flaw in the database when it was backed up as \(facts.point.id): \(flaw.findings)"
    guard let sound = flaw.newestSound else { return [found, "no other backup is known to be without a flaw"] }
    return [found, "the newest backup without a flaw is \(named(sound))"]
  }

  /// If the content is lost by mistake, the newest backup is the one that lacks it.
  private var anomalyWarnings: [String] {
    guard facts.point.status == .anomalous else { return accidentWarnings }
    let found = "\(facts.point.id) is marked anomalous: it may have lost content"
    return [facts.point.newestUsual.map { "\(found); the newest backup that is not is \(named($0))" } ?? found]
  }

  /// The backups after an accident are usual again, and lack the same content.
  private var accidentWarnings: [String] {
    guard let accident = facts.point.accident else { return [] }
    let found =
      "\(named(accident.backup)), is marked anomalous, and \(facts.point.id) may lack the same content "
      + "(holdfast accept \(accident.backup.id) if it was meant)"
    return [accident.lastGood.map { "\(found); the newest backup before that is \(named($0))" } ?? found]
  }

  /// Its ID, and how much older or newer it is than the backup to restore.
  private func named(_ other: PointFacts.Alternative) -> String {
    let created = facts.point.created
    let (early, late) = (min(created, other.created), max(created, other.created))
    let (apart, overflow) = late.milliseconds.subtractingReportingOverflow(early.milliseconds)
    let distance = Words.distance(milliseconds: overflow ? .max : apart)
    return "\(other.id), \(distance) \(other.created < created ? "older" : "newer")"
  }

  private func pointWarnings(provisional: Bool) -> [String] {
    let point = facts.point
    var warnings: [String] = []
    if let other = point.otherDatabase { warnings.append("\(point.id) is a backup of \(other)") }
    if !request.verifyFirst { warnings.append("\(point.id) is not verified before it is installed") }
    warnings += flawWarnings
    if !point.point.isAuthenticated { warnings.append("\(point.id) is not authenticated: its origin is not known") }
    if point.status == .suspect {
      warnings.append("\(point.id) is marked suspect: a page may be missing from its chain")
    }
    warnings += anomalyWarnings
    if point.layout == .empty { warnings.append("\(point.id) is an empty database") }
    if provisional {
      warnings.append(
        "the page size of \(point.id) is known only once it is staged: it goes in live if it matches, by replacing the file "
          + "if not")
    }
    return warnings
  }
}
