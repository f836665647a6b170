/// Decides how a point is restored, or why it is not.
///
/// **Live** is chosen whenever the target opens and page size and text encoding match, whichever
/// programs have it open: SQLite's backup API writes into the open database and applications need
/// no restart. A different encoding is refused even if SQLite would allow it, because applications
/// with the file open would fail on every statement. **Replace** is chosen if the target is
/// missing, cannot be opened or has another page size, or if one side has no pages at all (such a
/// file has no page size of its own). SQLite's exclusive lock decides whether a replace can happen;
/// the list of programs that have the file open only affects the messages.
///
/// The image's encoding, and for points of the original service its page size, are known only once
/// it is staged. If they are unknown, the plan assumes live; after staging, ``confirm(_:staged:)``
/// decides. The safety step comes before staging and never depends on the answer, so no answer can
/// skip it.
package enum RestorePolicy {
  /// The plan for `request`, or the reason against it.
  package static func decide(_ request: RestoreRequest, _ facts: RestoreFacts) -> RestoreDecision {
    do throws(RestoreRefusal) {
      try checkPoint(request, facts)
      try checkTarget(request, facts.target)
      let layout = facts.point.layout
      let install = try chooseInstall(request.target, layout, facts.target)
      return .plan(try plan(request, facts, install, provisional: layout == .unknown && install == .live))
    } catch {
      return .refuse(error)
    }
  }

  /// Completes a plan with the facts of the staged image, which take precedence over those of its
  /// metadata.
  ///
  /// The steps up to and including `stage` stay as they are; only those after it may change (live
  /// becomes replace if the page size differs, or the reverse), and an integrity check is added if
  /// no check has passed for the staged image. No caller may skip this: encodings are compared
  /// here.
  package static func confirm(_ plan: RestorePlan, staged: StagedFacts) -> RestoreConfirmation {
    do throws(RestoreRefusal) {
      var facts = plan.facts
      if !staged.integrityKnown { facts.point.integrityKnown = false }
      let install = try chooseInstall(plan.request.target, PageLayout(staged), facts.target)
      guard install != .live || staged.textEncoding != nil else {
        throw RestoreRefusal(
          .refused, "the text encoding of the staged image of \(facts.point.id) is not known",
          hint: "verify the backup with `holdfast verify`, or restore to a new file with --to PATH")
      }
      guard install != plan.install || facts != plan.facts else { return .proceed(plan) }
      let other = try self.plan(plan.request, facts, install, provisional: false)
      let done = plan.steps.prefix { !$0.kind.followsStaging }
      var confirmed = other
      confirmed.steps = Array(done) + other.steps.drop { !$0.kind.followsStaging }
      return .proceed(confirmed)
    } catch {
      return .refuse(error)
    }
  }

  /// The reason why an image of this text encoding must not be written into the open target; nil if
  /// it may be.
  package static func confirmLive(staged encoding: String?, target: TargetFacts) -> RestoreRefusal? {
    guard let encoding, case .database(let database) = target.state,
      encoding.lowercased() != database.textEncoding.lowercased()
    else { return nil }
    return RestoreRefusal(
      .refused,
      "the backup's text encoding is \(encoding) and that of \(target.path) is \(database.textEncoding): applications that "
        + "have it open would fail on every statement",
      hint: "restore to a new file with --to PATH, then stop the applications and put it in place")
  }

  private static func plan(
    _ request: RestoreRequest, _ facts: RestoreFacts, _ install: Install, provisional: Bool
  ) throws(RestoreRefusal) -> RestorePlan {
    let outline = RestoreOutline(request: request, facts: facts, install: install)
    try outline.space.check(facts)
    let ownership = install == .live ? nil : try RestoredOwnership(install, facts.target.path, facts.ownership)
    return RestorePlan(
      install: install, steps: outline.steps,
      warnings: outline.warnings(provisional: provisional) + (ownership?.warnings ?? []),
      attributes: ownership?.attributes, request: request, facts: facts)
  }
}

/// The known facts about an image's pages.
enum PageLayout: Hashable {
  /// No pages, so no page size and no encoding.
  case empty
  /// Known only from the staged image.
  case unknown
  case pages(size: Int, encoding: String?)

  init(_ staged: StagedFacts) {
    self = staged.pageCount == 0 ? .empty : .pages(size: staged.pageSize, encoding: staged.textEncoding)
  }
}

extension PointFacts {
  var layout: PageLayout {
    if point.pageCount == 0 { return .empty }
    guard point.pageSize > 0 else { return .unknown }
    return .pages(size: point.pageSize, encoding: textEncoding)
  }
}

extension RestoreStep.Kind {
  var followsStaging: Bool {
    switch self {
    case .integrityCheck, .installLive, .moveSideFiles, .installReplace, .installNew, .sync, .record: true
    case .checkSpace, .safetyBackup, .damagedSafetyCopy, .verify, .stage: false
    }
  }
}
