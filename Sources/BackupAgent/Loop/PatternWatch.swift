import BackupEngine

/// When to look for new matches of the patterns: soon after an event in one of their folders, and from time to time.
struct PatternWatch {
  /// A program that makes a folder and a database in it is given so many milliseconds.
  private static let pause: Int64 = 300

  let patterns: DatabasePatterns
  /// The look that is going on was begun for these patterns, and no others since.
  let generation: Int
  private(set) var isLooking = false
  private(set) var plan: WatchPlan?
  private(set) var found: [String]?
  private var due: Int64?
  private var nextPoll: Int64
  /// What was reported of databases that cannot be guarded; once each.
  private var reported: Set<String> = []

  init(_ patterns: DatabasePatterns, generation: Int, at time: Int64) {
    (self.patterns, self.generation) = (patterns, generation)
    (due, nextPoll) = (time, time)
  }

  /// Monotonic milliseconds of the next look.
  var deadline: Int64? { isLooking ? nil : min(due ?? .max, nextPoll) }

  mutating func noteEvent(at time: Int64) {
    due = due ?? time + Self.pause
  }

  /// Begins a look; what happens from now on needs another one.
  mutating func begin(at time: Int64) {
    let interval = max(100, patterns.pollInterval)
    (isLooking, due, nextPoll) = (true, nil, (time / interval + 1) * interval)
  }

  /// - Returns: whether other folders are to be watched. In those, something may have come before they are watched.
  mutating func end(_ look: PatternLook, at time: Int64) -> Bool {
    (isLooking, found) = (false, look.found)
    guard look.plan != plan else { return false }
    plan = look.plan
    due = time
    return true
  }

  /// The databases could not be guarded as they were found: the next look tries again.
  mutating func forget() {
    found = nil
  }

  /// Whether that was not reported yet.
  mutating func report(_ problem: String) -> Bool { reported.insert(problem).inserted }
}

/// What a look for matches found.
struct PatternLook: Sendable {
  var generation: Int
  var plan: WatchPlan
  var found: [String]
  /// All databases; nil if the same paths match as before.
  var databases: Result<[GuardedDatabase], any Error>?

  /// Looks. Blocks.
  init(_ watch: PatternWatch) {
    let files = watch.patterns.environment.files
    generation = watch.generation
    // The folders first: what comes into them after that is reported by the kernel.
    plan = WatchPlan(patterns: watch.patterns.texts, files)
    found = watch.patterns.find()
    guard found.map({ ExactName($0) }) != watch.found?.map({ ExactName($0) }) else { return }
    databases = Result { [watch] in try watch.patterns.expand() }
  }
}
