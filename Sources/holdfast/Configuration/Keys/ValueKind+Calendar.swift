import BackupEngine
import BackupPolicy

// Schedules, zones and hours, which have readers of their own.
extension ValueKind {
  func schedules(_ raw: RawValue) throws(ValueProblem) -> SettingValue {
    switch raw {
    case .string("none"), .untyped("none"): return .none
    case .string(let text): return .schedules([try schedule(text)])
    case .untyped(let text):
      var schedules: [CronSchedule] = []
      for part in text.split(separator: ";", omittingEmptySubsequences: false) {
        schedules.append(try schedule(part.trimmed))
      }
      return .schedules(schedules)
    case .list(let items): return .schedules(try self.schedules(items))
    default: throw ValueProblem(raw, isNot: "a cron expression", hint: "write it in quotes, such as \"0 2 * * *\"")
    }
  }

  private func schedules(_ items: [RawItem]) throws(ValueProblem) -> [CronSchedule] {
    guard !items.isEmpty else {
      throw ValueProblem(problem: "is an empty array", hint: "leave it out, or write \"none\"")
    }
    var schedules: [CronSchedule] = []
    for item in items {
      do throws(ValueProblem) {
        schedules.append(try schedule(try string(item.value, "a cron expression such as \"0 2 * * *\"")))
      } catch {
        var problem = error
        problem.position = item.position
        throw problem
      }
    }
    return schedules
  }

  private func schedule(_ text: String) throws(ValueProblem) -> CronSchedule {
    do {
      return try CronSchedule(text)
    } catch {
      var problem = ValueProblem(error, about: "schedule", hint: "write five fields, such as 0 2 * * *")
      // People carry a `.env` with its comments over to where `#` means nothing.
      if CronSchedule.names.contains(text.lowercased()) { problem.hint = "write @\(text.lowercased())" }
      if text.contains(" #") { problem.hint = "take out what follows the #: only .env knows comments behind a value" }
      throw problem
    }
  }

  func zone(_ raw: RawValue) throws(ValueProblem) -> SettingValue {
    let text = try string(raw, "a zone such as Europe/Berlin")
    do {
      return .zone(try TimeZones.named(text))
    } catch {
      throw ValueProblem(error, about: "time zone", hint: "write a name such as Europe/Berlin")
    }
  }

  func quietHours(_ raw: RawValue) throws(ValueProblem) -> SettingValue {
    if raw == .string("none") || raw == .untyped("none") { return .none }
    let text = try string(raw, "hours such as 22:00-06:00")
    do {
      return .quietHours(try QuietHours(text))
    } catch {
      throw ValueProblem(error, about: "quiet hours", hint: "write hours such as 22:00-06:00")
    }
  }
}

extension CronSchedule {
  /// What may follow an `@`.
  fileprivate static let names: Set = ["yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly"]
}
