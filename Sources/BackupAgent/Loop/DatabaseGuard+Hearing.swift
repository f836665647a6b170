import BackupEngine
import BackupPolicy

/// While a change is owed and nothing but time is waited for, more writes change nothing but how long the quiet period lasts.
/// So the agent does not listen to them meanwhile, which would cost the writer a part of its commits; when something is due, it
/// looks at the files' times.
///
/// Nothing is lost by it: the backup that is owed begins after writes are heard again, and what is written after that is
/// heard. Where the database was removed meanwhile, that backup says so.
extension DatabaseGuard {
  /// For a shorter while it is not worth the system calls.
  private static let shortest: Int64 = 100
  /// For so long it may go unnoticed that the database was removed.
  private static let longestUnseen: Int64 = 5000

  var mayStopHearing: Bool {
    guard unheard == nil, job == nil, isChangeOwed, !isStopping, isWatching else { return false }
    return !isSomethingDue(within: Self.shortest)
  }

  private func isSomethingDue(within milliseconds: Int64) -> Bool {
    let moment = clock.moment
    return deadline.isReached(
      at: Moment(
        wall: Timestamp(milliseconds: moment.wall.milliseconds.addingClamped(milliseconds)),
        monotonic: moment.monotonic.addingClamped(milliseconds)))
  }

  func stopHearing() {
    do {
      // Looked at first, so that what happens in between is noticed twice.
      let before = UnheardWrites(of: path, from: clock.monotonic, service.environment.files)
      try shared.watches.hear(isSomethingDue(within: Self.longestUnseen) ? .moves : .names, of: id)
      unheard = before
    } catch {
      watch()
    }
  }

  /// Writes raise events from now on. A commit may become visible later than the last write before.
  func hear() {
    guard unheard != nil else { return }
    unheard = nil
    followUp.noteEvent(at: clock.monotonic)
    do {
      try shared.watches.hear(.all, of: id)
    } catch {
      watch()
    }
  }

  /// Hears again, and tells the machine when the last write was: by that, what seemed due may not be.
  func noteUnheard(at moment: Moment) {
    guard let unheard else { return }
    hear()
    guard let last = unheard.lastWrite(to: path, until: moment, service.environment.files) else { return }
    hold.noteChange(at: last.monotonic)
    noteMissedChange(last)
  }
}
