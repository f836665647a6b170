extension RepositorySimulation {
  /// What it takes for granted, in words: lower case, no full stop.
  package var assumptions: [String] {
    [
      changes,
      "a full weighs \(ByteCount(pace.fullBytes)), as the newest one does: the database neither grows nor shrinks",
      "a merged incremental weighs as much as its parts, at most as a full: mostly it weighs less",
      "nobody makes, tags, pins or deletes backups by hand, no backup fails, and the disk does not fill up",
      "merging and removing happen at the end of each day; in between there is a day's backups more",
    ]
  }

  private var changes: String {
    guard settings.mode != .schedule else { return "changes start no backups, for mode is schedule" }
    guard let interval = pace.changeInterval else {
      return "no change comes, for the repository has none to go by"
    }
    let often = Words.duration(seconds: max(1, interval / 1000))
    let faster = interval < 60_000 ? "; those of one minute are counted as one" : ""
    return
      "a change is backed up every \(often) and weighs \(ByteCount(pace.changeBytes)), as the numbers of the points "
      + "tell of the last \(pace.daysSeen) days\(faster)"
  }
}
