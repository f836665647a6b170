import TestSupport
import Testing

@testable import BackupPolicy

@Suite("Decisions about undo")
struct UndoPolicyTests {
  private static let restored = PointID(at: Timestamp(milliseconds: 1_700_000_000_000))
  private static let safety = PointID(at: Timestamp(milliseconds: 1_700_000_060_000))

  private func facts(
    _ safety: UndoFacts.Safety = .there, _ content: UndoFacts.Content = .asRestored, complete: Bool = true,
    keepsSafety: Bool = true
  ) -> UndoFacts {
    var note = RestoreNote(
      point: Self.restored, target: "/srv/app.db", began: Timestamp(milliseconds: 1_700_000_061_000))
    note.safety = keepsSafety ? Self.safety : nil
    note.isComplete = complete
    var facts = UndoFacts(database: "/srv/app.db", last: note)
    (facts.safety, facts.content) = (safety, content)
    return facts
  }

  private func refusal(_ facts: UndoFacts) -> RestoreRefusal? {
    guard case .refuse(let refusal) = UndoPolicy.decide(facts) else { return nil }
    return refusal
  }

  @Test("The safety backup of the last restore comes back, without a warning if the database was not written since")
  func plain() {
    #expect(UndoPolicy.decide(facts()) == .restore(Self.safety, warnings: []))
    #expect(UndoPolicy.decide(facts(.there, .unknown)) == .restore(Self.safety, warnings: []))
  }

  @Test("A write since the restore is worth a warning, and so is a restore that was killed")
  func warnings() {
    guard case .restore(_, let changed) = UndoPolicy.decide(facts(.there, .changed)),
      case .restore(_, let killed) = UndoPolicy.decide(facts(.there, .asRestored, complete: false))
    else {
      Issue.record("refused")
      return
    }
    #expect(changed.count == 1 && changed[0].contains("was written to since the restore"))
    #expect(killed.count == 1 && killed[0].contains("was killed"))
  }

  @Test("Without a state to restore, undo is refused, each time with another way")
  func refusals() {
    let refusals = [
      (
        refusal(UndoFacts(database: "/srv/app.db", last: nil)), HoldfastError.Code.refused,
        "no restore into /srv/app.db"
      ),
      (refusal(facts(keepsSafety: false)), .refused, "kept no copy of the previous content"),
      (refusal(facts(.gone, .unknown)), .pointNotFound, "\(Self.safety), the backup from before the restore of "),
      (refusal(facts(.unproven, .unknown)), .pointNotFound, "may be a later backup"),
      (refusal(facts(.rawCopy)), .refused, "was damaged"),
      (refusal(facts(.there, .asBefore)), .refused, "still holds the content from before"),
    ]
    for (refusal, code, words) in refusals {
      #expect(refusal?.code == code && refusal?.reason.contains(words) == true, "\(words)")
      #expect(refusal?.hint.isEmpty == false)
    }
  }

  @Test("Without a mark in the record, only an older backup of the type of a safety backup is the safety backup")
  func identity() throws {
    var note = try #require(facts().last)
    let (before, after) = (note.began, Timestamp(milliseconds: note.began.milliseconds + 1))
    let (mark, unknown) = (BackupMark(sequence: 7, digest: "a"), BackupMark(sequence: nil, digest: nil))
    #expect(note.identity(ofSafety: mark, .safety, created: before) == .same)
    #expect(note.identity(ofSafety: mark, nil, created: before) == .same)
    #expect(note.identity(ofSafety: mark, .safety, created: after) == .unproven)
    #expect(note.identity(ofSafety: mark, .change, created: before) == .unproven)
    note.safetyMark = unknown
    #expect(note.identity(ofSafety: mark, .safety, created: after) == .unproven)
    note.endSequence = 6
    #expect(note.identity(ofSafety: mark, .safety, created: before) == .another)
    note.safetyMark = mark
    #expect(note.identity(ofSafety: mark, .safety, created: after) == .same)
    #expect(note.identity(ofSafety: BackupMark(sequence: 8, digest: "a"), .safety, created: before) == .another)
  }

  @Test("A restore was in vain only if it was killed before it changed anything")
  func vain() {
    #expect(facts(.there, .asBefore, complete: false).wasInVain)
    #expect(!facts(.there, .asBefore).wasInVain)
    #expect(!facts(.there, .changed, complete: false).wasInVain)
  }
}
