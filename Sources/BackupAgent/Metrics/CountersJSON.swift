import BackupEngine
import BackupPolicy

// The counts of an agent, as its answer to `status` contains them.

extension BackupCounters {
  package var json: JSONValue {
    .object([
      "backups": Self.object(backups), "stored": Self.object(stored), "bytes": Self.object(bytes),
      "pages": Self.object(pages), "searches": Self.object(searches), "delay_ms": delay.json,
      "durations_ms": .object(JSONObject(Self.named(durations).mapValues(\.json))),
      "drills_passed": .integer(passedDrills), "drills_failed": .integer(failedDrills),
      "drill_restores_ms": restores.json, "tracker_misses": .integer(trackerMisses),
    ])
  }

  /// Reads ``json``; counts that are missing are zero, because an agent may be of another version.
  package init?(_ json: JSONValue?) {
    guard case .object(let keys)? = json else { return nil }
    self.init(
      backups: Self.counts(keys["backups"]), stored: Self.counts(keys["stored"]), bytes: Self.counts(keys["bytes"]),
      pages: Self.counts(keys["pages"]), searches: Self.counts(keys["searches"]),
      delay: Histogram(keys["delay_ms"]) ?? .durations, durations: Self.histograms(keys["durations_ms"]),
      passedDrills: keys.integer("drills_passed") ?? 0, failedDrills: keys.integer("drills_failed") ?? 0,
      restores: Histogram(keys["drill_restores_ms"]) ?? .durations,
      trackerMisses: keys.integer("tracker_misses") ?? 0)
  }

  private static func named<Key: RawRepresentable<String>, Value>(_ values: [Key: Value]) -> [String: Value] {
    Dictionary(uniqueKeysWithValues: values.map { ($0.key.rawValue, $0.value) })
  }

  private static func object<Key: RawRepresentable<String>>(_ counts: [Key: Int64]) -> JSONValue {
    .object(JSONObject(named(counts).mapValues { JSONValue.integer($0) }))
  }

  private static func counts<Key: RawRepresentable<String> & Hashable>(_ json: JSONValue?) -> [Key: Int64] {
    guard case .object(let keys)? = json else { return [:] }
    var counts: [Key: Int64] = [:]
    for name in keys.keys {
      if let key = Key(rawValue: name), let count = keys.integer(name) { counts[key] = count }
    }
    return counts
  }

  private static func histograms(_ json: JSONValue?) -> [BackupKind: Histogram] {
    guard case .object(let keys)? = json else { return [:] }
    var histograms: [BackupKind: Histogram] = [:]
    for name in keys.keys {
      if let value = keys[name], let kind = BackupKind(rawValue: name), let histogram = Histogram(value) {
        histograms[kind] = histogram
      }
    }
    return histograms
  }
}

extension MessageCounts {
  package var json: JSONValue {
    .object(
      JSONObject(
        channels.mapValues { counts in
          .object(
            JSONObject(
              Dictionary(uniqueKeysWithValues: Outcome.allCases.map { ($0.rawValue, .integer(counts[$0] ?? 0)) })))
        }))
  }

  /// Reads ``json``; empty if the agent is of another version.
  package init(_ json: JSONValue?) {
    self.init()
    guard case .object(let keys)? = json else { return }
    for name in keys.keys {
      guard case .object(let counts)? = keys[name] else { continue }
      add(MessageCounts([name: Outcome.allCases.reduce(into: [:]) { $0[$1] = counts.integer($1.rawValue) }]))
    }
  }
}

extension Histogram {
  package var json: JSONValue {
    .object([
      "bounds": .array(bounds.map { .integer($0) }), "buckets": .array(buckets.map { .integer($0) }),
      "count": .integer(count), "sum": .integer(sum),
    ])
  }

  fileprivate init?(_ json: JSONValue?) {
    guard case .object(let keys)? = json, let count = keys.integer("count"), let sum = keys.integer("sum") else {
      return nil
    }
    func numbers(_ key: String) -> [Int64] {
      keys.items(key).compactMap { if case .integer(let number) = $0 { number } else { nil } }
    }
    self.init(bounds: numbers("bounds"), buckets: numbers("buckets"), count: count, sum: sum)
  }
}

extension BackupCounters.Search {
  init(_ how: ChangeKnowledge) {
    switch how {
    case .known: self = .known
    case .compared: self = .compared
    case .followed(.sameGeneration): self = .sameGeneration
    case .followed(.untouchedFile): self = .untouchedFile
    case .followed(.oneReset): self = .oneReset
    case .followed(.unchangedFile): self = .unchangedFile
    }
  }
}
