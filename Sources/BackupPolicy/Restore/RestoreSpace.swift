/// Bytes that a restore writes at most, by place.
struct RestoreSpace: Hashable {
  /// The safety backup, at worst as large as the content that it saves.
  var repository: Int64
  /// The staged image, beside the target.
  var staging: Int64
  /// Live only: the WAL or rollback journal that transfers the content.
  var log: Int64
  /// Live only: the growth of the database.
  var growth: Int64

  /// Everything beside the target.
  var target: Int64 { staging.addingClamped(log).addingClamped(growth) }

  init(_ request: RestoreRequest, _ facts: RestoreFacts, install: Install, safety: RestoreStep.Kind?) {
    let image = max(0, facts.point.imageSize)
    repository = facts.target.safetyBytes(safety)
    staging = image
    (log, growth) = (0, 0)
    guard install == .live, case .database(let database) = facts.target.state else { return }
    growth = max(0, image - max(0, facts.target.size))
    // A WAL holds the new pages, a rollback journal the old ones, each with a header (24 or 8
    // bytes) for each page.
    let carried = database.journalMode.lowercased() == "wal" ? image : facts.target.contentBytes
    let pages = carried / Int64(max(512, database.pageSize)) + 1
    log = carried.addingClamped(pages.multipliedClamped(by: 24))
  }

  func check(_ facts: RestoreFacts) throws(RestoreRefusal) {
    if facts.sameFileSystem {
      let free = min(facts.freeSpaceTarget, facts.freeSpaceRepository)
      try Self.check(target.addingClamped(repository), free: free, "beside \(facts.target.path) and in the repository")
    } else {
      try Self.check(target, free: facts.freeSpaceTarget, "beside \(facts.target.path)")
      try Self.check(repository, free: facts.freeSpaceRepository, "in the repository")
    }
  }

  private static func check(_ need: Int64, free: Int64, _ place: String) throws(RestoreRefusal) {
    let free = max(0, free)
    guard need > free else { return }
    throw RestoreRefusal(
      .noSpace,
      "not enough space \(place): \(ByteCount(need)) is needed and \(ByteCount(free)) is free, "
        + "\(ByteCount(need - free)) too little",
      hint: "free some space on that file system, or restore to a new file elsewhere with --to PATH")
  }
}

extension TargetFacts {
  /// Bytes of the database's content, pages that are still in the WAL included.
  var contentBytes: Int64 {
    guard case .database(let database) = state else { return max(0, size) }
    return max(0, size, Int64(max(0, database.pageSize)).multipliedClamped(by: Int64(database.pageCount)))
  }

  /// Bytes that a safety step of this kind writes at most.
  func safetyBytes(_ kind: RestoreStep.Kind?) -> Int64 {
    switch kind {
    case .safetyBackup: contentBytes
    case .damagedSafetyCopy: max(0, size).addingClamped(max(0, sideFileBytes))
    default: 0
    }
  }
}
