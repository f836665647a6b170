import BackupEngine

/// When to search for new matches of the patterns: soon after an event in one of their folders, and
/// at intervals.
struct PatternWatch {
  /// Milliseconds after an event, so that a program can create a folder and the database in it.
  private static let pause: Int64 = 300

  let patterns: DatabasePatterns
  /// Identifies the patterns: a search that was begun for earlier patterns is discarded.
  let generation: Int
  private(set) var isSearching = false
  private(set) var plan: WatchPlan?
  private(set) var found: [String]?
  private var due: Int64?
  private var nextPoll: Int64
  /// The problems that were already reported about databases that cannot be watched.
  private var reported: Set<String> = []
  /// The problems that the last search with a result found, as lines of the log.
  private(set) var problems: [String] = []

  init(_ patterns: DatabasePatterns, generation: Int, at time: Int64) {
    (self.patterns, self.generation) = (patterns, generation)
    (due, nextPoll) = (time, time)
  }

  /// The time of the next search, in monotonic milliseconds.
  var deadline: Int64? { isSearching ? nil : min(due ?? .max, nextPoll) }

  mutating func recordEvent(at time: Int64) {
    due = due ?? time + Self.pause
  }

  /// Begins a search. Events from now on need another one.
  mutating func begin(at time: Int64) {
    let interval = max(100, patterns.pollInterval)
    (isSearching, due, nextPoll) = (true, nil, (time / interval + 1) * interval)
  }

  /// - Returns: whether different folders are to be watched. A match may have been created in them
  ///   before they are watched.
  mutating func end(_ scan: PatternScan, at time: Int64) -> Bool {
    (isSearching, found) = (false, scan.found)
    guard scan.plan != plan else { return false }
    plan = scan.plan
    due = time
    return true
  }

  /// The databases could not be added; the next search tries again.
  mutating func forget() {
    found = nil
  }

  /// A search has found all databases anew.
  mutating func beginResult() { problems = [] }

  /// Counts a problem of the result.
  ///
  /// - Returns: whether it was not reported before.
  mutating func report(_ problem: String) -> Bool {
    problems.append(problem)
    return reported.insert(problem).inserted
  }
}

/// The result of a search for matches.
struct PatternScan: Sendable {
  var generation: Int
  var plan: WatchPlan
  var found: [String]
  /// All databases; nil if the same paths match as before.
  var expansion: Result<DatabasePatterns.Expansion, any Error>?

  /// Searches. Blocks.
  init(_ watch: PatternWatch) {
    let files = watch.patterns.environment.files
    generation = watch.generation
    // The folders come first: the kernel reports entries that are created in them after that.
    plan = WatchPlan(patterns: watch.patterns.texts, files)
    found = watch.patterns.find()
    guard found.map({ ExactName($0) }) != watch.found?.map({ ExactName($0) }) else { return }
    expansion = Result { [watch] in try watch.patterns.expand() }
  }
}
