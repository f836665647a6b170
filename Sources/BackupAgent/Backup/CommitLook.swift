import BackupEngine
import BackupPolicy
import Glibc
import SQLitePages

/// Looks whether a commit is written and not published yet: SQLite's flush comes between the two, and the event that wakes
/// the agent before both.
struct CommitLook {
  private let service: BackupService
  private let held: HeldConnection

  /// Microseconds that a backup waits at most for such a commit. A flush seldom takes longer; where it does, the looks that
  /// follow an event find the commit.
  private static let patience: useconds_t = 50000

  init(_ service: BackupService, _ held: HeldConnection) {
    self.service = service
    self.held = held
  }

  /// Waits a moment for a commit that is being flushed, so that the backup that was started for it does not miss it.
  func awaitCommit() {
    var (waited, pause) = (useconds_t(0), useconds_t(200))
    while waited < Self.patience, isPending {
      usleep(pause)
      waited += pause
      pause *= 2
    }
  }

  /// Compares the database with the last backup.
  func look(_ backup: ChangeBackup) -> FollowUp.Look {
    // Looked at first: what is published between the two looks, the second one sees.
    let isPending = isPending
    // What cannot be read may have changed: the backup will say what is wrong.
    if (try? backup.hasChanged()) ?? true { return .changed }
    return isPending ? .pending : .unchanged
  }

  /// False where it cannot be told.
  private var isPending: Bool {
    guard let path = service.database else { return false }
    let found = try? held.with(path) { connection in
      let snapshot = try DatabaseSnapshot(connection, scratchPath: "\(service.folder)/.state/.tmp-look")
      defer { snapshot.end() }
      return snapshot.position.hasUnpublishedCommit
    }
    return found ?? false
  }
}
