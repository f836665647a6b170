import BackupEngine
import BackupPolicy
import Names
import ObjectStorage
import Replication

/// Finds out whether a target can be used and has the recent backups, for `doctor` and
/// `targets check`.
struct TargetExamination {
  private let engine: Engine
  private let target: Target
  private let listsContent: Bool

  /// - Parameter listsContent: compares the whole content of the target with the repository.
  init(_ engine: Engine, _ target: Target, listsContent: Bool = false) {
    (self.engine, self.target, self.listsContent) = (engine, target, listsContent)
  }

  private var subject: String { "target \(target.name)" }

  func findings() -> [Finding] {
    target.withStore { store in
      do {
        try reach(store)
        let replicator = Replicator(engine: engine, target: target, store: store)
        try replicator.requireFolder()
        let seen = [content(replicator), try state(replicator), sameDisk()].compactMap { $0 }
        return seen + (try abilities(store))
      } catch {
        let known = (error as? StoreError)?.error(at: target.name) ?? GuardResult.error(error)
        let isNamed = known.message.hasPrefix("\(subject): ")
        return [
          Finding(
            subject, .problem, isNamed ? String(known.message.dropFirst(subject.count + 2)) : known.message,
            advice: known.hint ?? "holdfast targets check \(target.name) asks it again"),
          sameDisk(),
        ].compactMap { $0 }
      }
    }
  }

  /// Asks for one object, which the key of a write-only target does not allow.
  private func reach(_ store: any ObjectStore) throws {
    guard target.settings.access != .writeOnly else { return }
    _ = try store.list(ListQuery(pageSize: 1))
  }

  private func state(_ replicator: Replicator) throws -> Finding {
    let summary = try replicator.summary()
    let place = "\(target.address): "
    guard summary.isUsed else {
      return Finding(subject, .note, "\(place)not used yet; the agent or holdfast sync \(target.name) begins")
    }
    if let problem = summary.keyProblem {
      return Finding(subject, .problem, "\(place)nothing is sent: \(problem.message)", advice: problem.hint ?? "")
    }
    if summary.needsFull {
      return Finding(
        subject, .problem, "\(place)nothing is sent: \(ReplicationPolicy.fullNeeded)",
        advice: ReplicationObstacle.fullNeeded.advice(target))
    }
    switch summary.lag {
    case .behind(_, let reason):
      return Finding(
        subject, .problem, "\(place)behind: \(reason)", advice: "holdfast sync \(target.name) --once shows the reason")
    case .upToDate, .within:
      let objects = "\(summary.usage.objects.grouped) object\(summary.usage.objects == 1 ? "" : "s")"
      let words = summary.lag == .upToDate ? "up to date" : "the newest backups are on their way"
      return Finding(subject, .ok, "\(place)\(words), \(objects), \(ByteCount(summary.usage.bytes))")
    }
  }

  /// Lists the target and compares it, also beside an agent that writes to it.
  private func content(_ replicator: Replicator) -> Finding? {
    guard listsContent else { return nil }
    guard target.settings.access != .writeOnly else {
      return Finding("\(subject): content", .note, "it cannot be listed with the access write-only")
    }
    do {
      let plan = try replicator.plan()
      for case .stop(let reason) in plan.steps {
        return Finding(
          "\(subject): writers", .problem, reason,
          advice: (plan.needsFull ? ReplicationObstacle.fullNeeded : .foreign("")).advice(target))
      }
      guard plan.lost.isEmpty else {
        return Finding(
          "\(subject): content", .warning,
          "\(plan.lost.count.grouped) of its backups cannot be restored, because archives that they need are missing",
          advice: "holdfast sync \(target.name) uploads what is still here")
      }
      if let finding = damage(plan) { return finding }
      guard plan.owed.isEmpty else {
        let count = plan.owed.count
        let words = count == 1 ? "1 backup is" : "\(count.grouped) backups are"
        return Finding("\(subject): content", .note, "\(words) not in it yet, or no longer")
      }
      return Finding("\(subject): content", .ok, "no archive is missing, by name and size")
    } catch let error as HoldfastError where error.code == .wrongKey {
      // The state says it.
      return nil
    } catch {
      let known = (error as? StoreError)?.error(at: target.name) ?? GuardResult.error(error)
      return Finding(
        "\(subject): content", .problem, known.message, advice: known.hint ?? "holdfast doctor looks for other problems"
      )
    }
  }

  /// Archives that are gone and still here: a run sends them again.
  private func damage(_ plan: ReplicationPlan) -> Finding? {
    let count = Set(plan.gone + plan.broken).count
    guard count > 0 else { return nil }
    let words = count == 1 ? "1 backup that it had" : "\(count.grouped) backups that it had"
    return Finding(
      "\(subject): content", .problem, "\(words) cannot be restored from there now, because archives are gone",
      advice: "holdfast sync \(target.name) uploads them again, and so does the agent with the next change")
  }

  /// Tries the abilities of the store. Only with credentials that may also remove the objects of the
  /// trial.
  private func abilities(_ store: any ObjectStore) throws -> [Finding] {
    guard listsContent, target.settings.access == .full else { return [] }
    let folder = "\(try engine.shippingFacts().repositoryID)/probe/\(try SecretBytes.random(8).hex)"
    let found = try StoreProbe.run(store, folder: folder).findings(keys: keys)
    return found.map { finding in
      switch finding.severity {
      case .fine: Finding("\(subject): store", .ok, finding.text)
      case .notice: Finding("\(subject): store", .note, finding.text)
      case .problem:
        Finding(
          "\(subject): store", .problem, finding.text,
          advice: "change the settings of the store, or use another one; the guide to off-site copies has examples")
      }
    }
  }

  /// The start of the keys in the bucket.
  private var keys: String {
    guard case .s3(let location) = target.url, !location.prefix.isEmpty else { return "" }
    return "\(location.prefix)/"
  }

  private func sameDisk() -> Finding? {
    guard case .folder(let path) = target.url, let database = engine.database else { return nil }
    let files = engine.environment.files
    guard let place = (try? files.status(path)) ?? (try? files.status(path.parentPath)),
      let source = try? files.status(database), place.device == source.device
    else { return nil }
    return Finding(
      "\(subject): disk", .warning, "\(path) is on the disk of the database, and is lost with it",
      advice: "use a folder on another disk or on a NAS, or an s3:// URL")
  }
}
