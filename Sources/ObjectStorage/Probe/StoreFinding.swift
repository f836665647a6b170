import Names

/// A capability of a store in one sentence for people, with its consequence.
package struct StoreFinding: Hashable, Sendable, CustomStringConvertible {
  package enum Severity: String, Hashable, Sendable {
    case fine
    /// The person should know it.
    case notice
    /// Backups are in danger, or the store cannot be used.
    case problem
  }

  package let severity: Severity
  /// Lower case, no full stop.
  package let text: String

  init(_ severity: Severity, _ text: String) { (self.severity, self.text) = (severity, text) }

  package var description: String { "\(severity.rawValue): \(text)" }
}

extension StoreCapabilities {
  /// Every finding of the probe, in a fixed order.
  ///
  /// - Parameter keys: the start of the store's keys in its bucket; ends with `/` or is empty.
  package func findings(keys: String = "") -> [StoreFinding] {
    [creationFinding] + objectFindings + [clockFinding].compactMap { $0 } + (bucket?.findings(keys) ?? [])
  }

  private var creationFinding: StoreFinding {
    switch creation {
    case .enforced: StoreFinding(.fine, "a second put of a name is refused, so two writers notice each other at once")
    case .ignored:
      StoreFinding(
        .notice, "the condition to create only is accepted and ignored: writers compare lists of names instead")
    case .unsupported:
      StoreFinding(
        .notice, "the store does not know the condition to create only: writers compare lists of names instead")
    case .unproved:
      StoreFinding(
        .notice, "a second put of a name is refused, but the first content cannot be read back, so it is not relied on")
    case .untried: StoreFinding(.notice, "the condition to create only was not tried")
    }
  }

  private var objectFindings: [StoreFinding] {
    [
      Self.finding(
        reading, "an object is there at once after its put", "an object is not there, or is another one, after its put",
        "objects cannot be read: this machine can neither check nor restore its backups there"),
      Self.finding(
        listing, "a list shows an object at once", "a list does not show an object at once: a look may find too little",
        "objects cannot be listed: only this machine's own record says what is there"),
      Self.finding(
        ranges, "a part of an object can be fetched",
        "parts of objects cannot be fetched: an interrupted fetch "
          + "begins again, and a look at a header fetches the whole object", nil),
      Self.finding(
        paging, "a list goes on from page to page",
        "pages of a list have gaps, repetitions or another order: the store "
          + "cannot be used", nil),
      Self.finding(
        absence, "a missing object is reported as missing", "a missing object is reported as present",
        "a missing object looks denied: without the permission to list, other writers are not noticed"),
      Self.finding(
        removal, "a removed object is gone at once",
        "a removed object is still there: the store keeps all, or shows "
          + "old states",
        "objects cannot be removed: another machine has to enforce the retention"),
    ].compactMap { $0 }
  }

  private static func finding(
    _ support: Support, _ works: String, _ fails: String, _ denied: String?
  ) -> StoreFinding? {
    switch support {
    case .works: StoreFinding(.fine, works)
    case .fails: StoreFinding(.problem, fails)
    case .denied: denied.map { StoreFinding(.notice, $0) }
    case .untried: nil
    }
  }

  /// Stores refuse signatures that are 15 minutes old, so a third of it is a problem.
  private var clockFinding: StoreFinding? {
    guard let clockDrift else { return nil }
    let seconds = (clockDrift.magnitude + 500) / 1000
    let direction = clockDrift < 0 ? "behind" : "ahead of"
    if seconds <= 5 { return StoreFinding(.fine, "the store's clock agrees with this machine's") }
    return StoreFinding(
      seconds > 300 ? .problem : .notice,
      "the store's clock is \(seconds) s \(direction) this machine's: the times of backups may be wrong, and beyond "
        + "900 s requests are refused")
  }
}

extension BucketSettings {
  /// - Parameter keys: the start of the store's keys in the bucket; ends with `/` or is empty.
  package func findings(_ keys: String) -> [StoreFinding] {
    lifecycleFindings(keys) + [versioningFinding(keys)] + [lockFinding].compactMap { $0 }
  }

  private func lifecycleFindings(_ keys: String) -> [StoreFinding] {
    guard let rules = lifecycle.value else {
      let reason = lifecycle == .denied ? "cannot be read with these credentials" : "are not known to this store"
      return [StoreFinding(.notice, "the lifecycle rules of the bucket \(reason): check that none removes backups")]
    }
    let concerned = rules.filter { $0.concerns(keys) }
    var findings = concerned.flatMap(Self.findings)
    if let days = concerned.compactMap({ $0.covers(keys) ? $0.freesUploadsAfter : nil }).min() {
      findings.append(StoreFinding(.fine, "the parts of unfinished uploads are freed after \(Words.days(days))"))
    } else {
      findings.append(
        StoreFinding(
          .notice,
          "the parts of unfinished uploads are kept and billed: add a lifecycle rule "
            + "AbortIncompleteMultipartUpload with 7 days"))
    }
    return findings
  }

  private static func findings(_ rule: LifecycleRule) -> [StoreFinding] {
    let name = "the lifecycle rule '\(rule.id.printable)'"
    var findings: [StoreFinding] = []
    if let time = rule.removesAfter {
      findings.append(
        StoreFinding(.problem, "\(name) removes objects \(time), also backups that others need: exclude this prefix"))
    }
    let slow = rule.classes.filter { ["GLACIER", "DEEP_ARCHIVE"].contains($0) }
    if let storageClass = slow.first {
      findings.append(
        StoreFinding(
          .problem, "\(name) moves objects to \(storageClass), where a restore waits for hours: exclude this prefix"))
    }
    return findings
  }

  private func versioningFinding(_ keys: String) -> StoreFinding {
    switch versioning {
    case .known(.enabled), .known(.suspended):
      let frees = lifecycle.value?.filter { $0.covers(keys) }.compactMap(\.freesVersionsAfter).min()
      guard let frees else {
        return StoreFinding(
          .notice,
          "the bucket keeps versions, so removed backups are still billed: add a lifecycle rule "
            + "NoncurrentVersionExpiration")
      }
      return StoreFinding(.fine, "the bucket keeps versions of removed objects for \(Words.days(frees))")
    case .known(.off): return StoreFinding(.fine, "the bucket keeps no versions, so removed backups are freed at once")
    case .denied:
      return StoreFinding(
        .notice,
        "the versioning of the bucket cannot be read with these credentials: removed backups may still be billed"
      )
    case .unsupported: return StoreFinding(.fine, "the store does not know versions")
    }
  }

  private var lockFinding: StoreFinding? {
    guard let lock = lock.value, lock.isEnabled else { return nil }
    guard let mode = lock.mode else {
      return StoreFinding(.fine, "the bucket can lock objects, and locks none by itself")
    }
    let time = lock.days.map { " for \(Words.days($0))" } ?? ""
    return StoreFinding(
      .notice, "the bucket locks each new object\(time) (\(mode.printable)): until then, a removal only hides it")
  }
}

private enum Words {
  static func days(_ count: Int) -> String { count == 1 ? "1 day" : "\(count) days" }
}
