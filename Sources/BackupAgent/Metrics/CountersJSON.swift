import BackupEngine
import BackupPolicy

// The counts of an agent, as its answer to `status` contains them.

extension BackupCounters {
  package var json: JSONValue {
    .object([
      "backups": .init(counts: backups), "stored": .init(counts: stored), "bytes": .init(counts: bytes),
      "pages": .init(counts: pages), "searches": .init(counts: searches), "delay_ms": delay.json,
      "durations_ms": .init(histograms: durations),
      "drills_passed": .integer(passedDrills), "drills_failed": .integer(failedDrills),
      "drill_restores_ms": restores.json, "tracker_misses": .integer(trackerMisses),
      "targets": .object(JSONObject(targets.mapValues(\.json))),
    ])
  }

  /// Reads ``json``; counts that are missing are zero, because an agent may be of another version.
  package init?(_ json: JSONValue?) {
    guard case .object(let keys)? = json else { return nil }
    self.init(
      backups: keys.counts(of: "backups"), stored: keys.counts(of: "stored"), bytes: keys.counts(of: "bytes"),
      pages: keys.counts(of: "pages"), searches: keys.counts(of: "searches"),
      delay: Histogram(keys["delay_ms"]) ?? .durations, durations: keys.histograms(of: "durations_ms"),
      passedDrills: keys.integer("drills_passed") ?? 0, failedDrills: keys.integer("drills_failed") ?? 0,
      restores: Histogram(keys["drill_restores_ms"]) ?? .durations,
      trackerMisses: keys.integer("tracker_misses") ?? 0, targets: [:])
    guard case .object(let known)? = keys["targets"] else { return }
    for name in known.keys { targets[name] = TargetTraffic(known[name]) }
  }
}

extension TargetTraffic {
  fileprivate var json: JSONValue {
    .object([
      "durations_ms": .init(histograms: durations), "received_bytes": .integer(receivedBytes),
      "retries": .init(counts: retries),
    ])
  }

  /// Reads ``json``.
  fileprivate init?(_ json: JSONValue?) {
    guard case .object(let keys)? = json else { return nil }
    self.init(
      durations: keys.histograms(of: "durations_ms"), receivedBytes: keys.integer("received_bytes") ?? 0,
      retries: keys.counts(of: "retries"))
  }
}

// Values by the raw values of their keys.

extension JSONValue {
  fileprivate init<Key: RawRepresentable<String>>(counts: [Key: Int64]) {
    self.init(counts) { .integer($0) }
  }

  fileprivate init<Key: RawRepresentable<String>>(histograms: [Key: Histogram]) {
    self.init(histograms, \.json)
  }

  private init<Key: RawRepresentable<String>, Value>(_ values: [Key: Value], _ json: (Value) -> JSONValue) {
    let named = values.map { ($0.key.rawValue, json($0.value)) }
    self = .object(JSONObject(Dictionary(named, uniquingKeysWith: { first, _ in first })))
  }
}

extension JSONObject {
  fileprivate func counts<Key: RawRepresentable<String> & Hashable>(of name: String) -> [Key: Int64] {
    values(name) { if case .integer(let count) = $0 { count } else { nil } }
  }

  fileprivate func histograms<Key: RawRepresentable<String> & Hashable>(of name: String) -> [Key: Histogram] {
    values(name) { Histogram($0) }
  }

  /// Entries that make no sense are left out.
  private func values<Key: RawRepresentable<String> & Hashable, Value>(
    _ name: String, _ value: (JSONValue) -> Value?
  ) -> [Key: Value] {
    guard case .object(let entries)? = self[name] else { return [:] }
    var values: [Key: Value] = [:]
    for name in entries.keys {
      if let key = Key(rawValue: name), let entry = entries[name] { values[key] = value(entry) }
    }
    return values
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
