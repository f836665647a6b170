import Names

extension RestorePolicy {
  /// Whether the point may be restored at all.
  static func checkPoint(_ request: RestoreRequest, _ facts: RestoreFacts) throws(RestoreRefusal) {
    let point = facts.point
    guard request.pointID == point.id, request.target.path.isExactly(facts.target.path) else {
      throw RestoreRefusal(
        .factsChanged,
        "restore of \(request.pointID) to \(request.target.path): the facts belong to another backup or file",
        hint: "run the command again")
    }
    // The planner checks this with the reason; facts from other sources are refused as well.
    if point.status == .failed, let refusal = refusal(of: point.id, .failed(reason: nil, advice: nil)) {
      throw refusal
    }
    guard point.point.isAuthenticated || request.acceptUnauthenticated else {
      throw RestoreRefusal(
        .unauthenticated,
        "\(point.id) cannot be authenticated: anyone who can write to the repository could have put it there",
        hint: "choose an authenticated backup, or add --accept-unauthenticated if you know the origin of this one")
    }
  }

  /// Whether anything may be written at the target's path.
  static func checkTarget(_ request: RestoreRequest, _ target: TargetFacts) throws(RestoreRefusal) {
    if case .newFile = request.target { return try checkNewFile(target) }
    switch target.state {
    case .notAFile:
      throw RestoreRefusal(
        .refused, "\(target.path) is a folder or a special file, not a database",
        hint: "name the database file itself, or restore to a new file with --to PATH")
    case .busy(let reason):
      throw RestoreRefusal(
        .busy, "\(target.path) cannot be read now: \(reason)",
        hint: target.openBy.isEmpty
          ? "try again when the application has closed it, or restore to a new file with --to PATH"
          : "try again when \(target.openBy.listed) has closed it, or restore to a new file with --to PATH")
    case .database, .empty, .unreadable:
      guard target.identity != nil else {
        throw RestoreRefusal(
          .factsChanged, "cannot identify \(target.path): it disappeared during the check",
          hint: "run the command again")
      }
    case .missing:
      guard target.identity == nil else {
        throw RestoreRefusal(
          .factsChanged, "\(target.path) appeared during the check", hint: "run the command again")
      }
    }
  }

  private static func checkNewFile(_ target: TargetFacts) throws(RestoreRefusal) {
    guard target.state == .missing, target.identity == nil else {
      throw RestoreRefusal(
        .refused, "\(target.path) exists already, and --to never overwrites",
        hint: "name a path without a file, or leave out --to to restore the database in place")
    }
    // SQLite would replay an old WAL beside the new file into it, and the WAL is not ours to move
    // away.
    guard target.sideFiles.isEmpty else {
      throw RestoreRefusal(
        .refused, "\(target.sideFiles.listed) is beside \(target.path) and would be applied to the restored database",
        hint: "name another path, or move \(target.sideFiles.listed) away first")
    }
  }

  /// Live, replace or new file, by the rules of ``RestorePolicy``.
  static func chooseInstall(
    _ place: RestoreTarget, _ image: PageLayout, _ target: TargetFacts
  ) throws(RestoreRefusal) -> Install {
    if case .newFile = place { return .newFile }
    guard case .database(let database) = target.state, database.pageCount > 0 else { return .replace }
    switch image {
    case .empty: return .replace
    case .unknown: return .live
    case .pages(let size, _) where size != database.pageSize: return .replace
    case .pages(_, let encoding):
      if let refusal = confirmLive(staged: encoding, target: target) { throw refusal }
      return .live
    }
  }
}

extension [String] {
  /// `a`, `a and b`, `a, b and c`.
  var listed: String {
    guard let last, count > 1 else { return first ?? "" }
    return dropLast().joined(separator: ", ") + " and " + last
  }
}
