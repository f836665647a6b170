import BackupPolicy

/// Metrics in the text format of Prometheus, version 0.0.4
/// (https://prometheus.io/docs/instrumenting/exposition_formats/).
package struct MetricsPage: Sendable {
  /// One database: its present state, and the counts of its agent.
  package struct Database: Sendable {
    package var facts: StateFacts
    /// Nil without an agent.
    package var counters: BackupCounters?

    package init(facts: StateFacts, counters: BackupCounters?) { (self.facts, self.counters) = (facts, counters) }
  }

  private var lines: [Metric: [String]] = [:]

  /// - Parameters:
  ///   - messages: of the agents that answered.
  ///   - alarms: every kind of alarm. Each has a line, so that an alert never waits for a line to
  ///     appear.
  ///   - refused: databases that are not backed up, besides those among `databases`. They may have the
  ///     name of another one, so they have no lines.
  ///   - start: when the agent began; nil without an agent.
  package init(
    _ databases: [Database], _ messages: MessageCounts, alarms: [String], refused: Int = 0, version: String,
    start: Timestamp?, at now: Timestamp
  ) {
    let accepted = databases.filter { $0.facts.refusal == nil }
    for database in accepted {
      add(database.facts, alarms)
      if let counters = database.counters { add(counters, of: database.facts.name) }
    }
    add(.refused, [], "\(refused + databases.count - accepted.count)")
    add(messages)
    add(.build, [version], "1")
    add(.agentUp, [], start == nil ? "0" : "1")
    add(.start, [], start)
    add(.written, [], now)
  }

  /// The page. Metrics without a value are left out.
  package var text: String {
    Metric.allCases.compactMap { metric in
      lines[metric].map {
        """
        # HELP \(metric.rawValue) \(metric.meaning).
        # TYPE \(metric.rawValue) \(metric.kind.rawValue)
        \($0.joined(separator: "\n"))

        """
      }
    }.joined()
  }

  private mutating func add(_ facts: StateFacts, _ alarms: [String]) {
    let name = facts.name
    add(.newestBackup, [name], facts.newest?.created)
    add(.newestVerified, [name], facts.verified)
    add(.newestProven, [name], facts.proved)
    add(.nextRun, [name], facts.nextRun)
    if let since = facts.exposedSince {
      add(.unprotectedSince, [name], since)
    } else if facts.problem == nil, facts.newest != nil {
      add(.unprotectedSince, [name], Timestamp(milliseconds: 0))
    }
    add(.pausedUntil, [name], facts.pausedUntil ?? Timestamp(milliseconds: 0))
    let open = Set(facts.alarms.map(\.kind))
    for kind in open.union(alarms).sorted() { add(.alarm, [name, kind], open.contains(kind) ? "1" : "0") }
    for copy in facts.copies {
      add(.targetUp, [name, copy.name], copy.error == nil ? "1" : "0")
      add(.targetOwed, [name, copy.name], "\(copy.unsent)")
      add(.targetOwedSince, [name, copy.name], copy.unsentSince ?? Timestamp(milliseconds: 0))
      add(.targetLastSuccess, [name, copy.name], copy.lastSuccess)
      if let usage = copy.usage { add(usage, [name, copy.name]) }
    }
  }

  private mutating func add(_ usage: TargetUsage, _ labels: [String]) {
    add(.targetNewest, labels, usage.newest)
    add(.targetObjects, labels, "\(usage.objects)")
    add(.targetBytes, labels, "\(usage.bytes)")
    let requests = usage.requests
    let counts = [
      ("put", requests.puts), ("get", requests.gets), ("list", requests.lists), ("delete", requests.deletes),
    ]
    for (operation, count) in counts { add(.targetRequests, labels + [operation], "\(count)") }
    add(.targetSent, labels, "\(usage.sentBytes)")
  }

  private mutating func add(_ counters: BackupCounters, of name: String) {
    for outcome in BackupCounters.Outcome.allCases {
      add(.backups, [name, outcome.rawValue], "\(counters.backups[outcome] ?? 0)")
    }
    for kind in BackupKind.allCases {
      add(.storedBackups, [name, kind.rawValue], "\(counters.stored[kind] ?? 0)")
      add(.backupBytes, [name, kind.rawValue], "\(counters.bytes[kind] ?? 0)")
      add(.storedPages, [name, kind.rawValue], "\(counters.pages[kind] ?? 0)")
      if let durations = counters.durations[kind] { add(.backupDuration, [name, kind.rawValue], durations) }
    }
    for search in BackupCounters.Search.allCases {
      add(.comparisons, [name, search.rawValue], "\(counters.searches[search] ?? 0)")
    }
    add(.backupDelay, [name], counters.delay)
    add(.trackerMisses, [name], "\(counters.trackerMisses)")
    add(.drills, [name, "passed"], "\(counters.passedDrills)")
    add(.drills, [name, "failed"], "\(counters.failedDrills)")
    add(.drillRestore, [name], counters.restores)
    for (target, traffic) in counters.targets.sorted(by: { $0.key < $1.key }) { add(traffic, [name, target]) }
  }

  private mutating func add(_ traffic: TargetTraffic, _ labels: [String]) {
    add(.targetReceived, labels, "\(traffic.receivedBytes)")
    for reason in TargetTraffic.Reason.allCases {
      add(.targetRetries, labels + [reason.rawValue], "\(traffic.retries[reason] ?? 0)")
    }
    for operation in TargetTraffic.Operation.allCases {
      if let durations = traffic.durations[operation] {
        add(.targetRequestDuration, labels + [operation.rawValue], durations)
      }
    }
  }

  private mutating func add(_ messages: MessageCounts) {
    for (channel, counts) in messages.channels.sorted(by: { $0.key < $1.key }) {
      for outcome in MessageCounts.Outcome.allCases {
        add(.notifications, [channel, outcome.rawValue], "\(counts[outcome] ?? 0)")
      }
    }
  }

  private mutating func add(_ metric: Metric, _ labels: [String], _ time: Timestamp?) {
    if let time { add(metric, labels, Self.seconds(time.milliseconds)) }
  }

  private mutating func add(_ metric: Metric, _ labels: [String], _ value: String) {
    lines[metric, default: []].append(Self.line(metric.rawValue, Self.pairs(metric, labels), value))
  }

  private mutating func add(_ metric: Metric, _ labels: [String], _ histogram: Histogram) {
    let pairs = Self.pairs(metric, labels)
    var own: [String] = []
    for (bound, count) in zip(histogram.bounds, histogram.buckets) {
      own.append(Self.line("\(metric.rawValue)_bucket", pairs + ["le=\"\(Self.seconds(bound))\""], "\(count)"))
    }
    own.append(Self.line("\(metric.rawValue)_bucket", pairs + ["le=\"+Inf\""], "\(histogram.count)"))
    own.append(Self.line("\(metric.rawValue)_sum", pairs, Self.seconds(histogram.sum)))
    own.append(Self.line("\(metric.rawValue)_count", pairs, "\(histogram.count)"))
    lines[metric, default: []] += own
  }

  private static func pairs(_ metric: Metric, _ values: [String]) -> [String] {
    zip(metric.labels, values).map { "\($0)=\"\(escaped($1))\"" }
  }

  private static func line(_ name: String, _ pairs: [String], _ value: String) -> String {
    "\(name)\(pairs.isEmpty ? "" : "{\(pairs.joined(separator: ","))}") \(value)"
  }

  /// `1732284202.25` from 1,732,284,202,250 ms, without a rounding error.
  private static func seconds(_ milliseconds: Int64) -> String {
    let (whole, rest) = (milliseconds.magnitude / 1000, milliseconds.magnitude % 1000)
    var digits = String("\(1000 + rest)".dropFirst())
    while digits.hasSuffix("0") { digits.removeLast() }
    return (milliseconds < 0 ? "-" : "") + "\(whole)" + (digits.isEmpty ? "" : ".\(digits)")
  }

  /// Backslashes, quotes and line breaks have escapes in a label's value.
  private static func escaped(_ text: String) -> String {
    var result = ""
    for character in text.unicodeScalars {
      switch character {
      case "\\": result += #"\\"#
      case "\"": result += #"\""#
      case "\n": result += #"\n"#
      default: result.unicodeScalars.append(character)
      }
    }
    return result
  }
}
