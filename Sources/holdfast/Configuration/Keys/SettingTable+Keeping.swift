// The rules of retention that go by the calendar or by tags, in restic's names.
extension SettingKey {
  private static let undecided = "nothing is removed before you say what to keep"

  var calendarCounts: SettingDefinition {
    let (unit, example) =
      switch self {
      case .keepHourly: ("hours", "24")
      case .keepDaily: ("days", "7")
      case .keepWeekly: ("weeks", "5")
      case .keepMonthly: ("months", "12")
      default: ("years", "10")
      }
    return SettingDefinition(
      summary: "Keep the last one of each of the newest N \(unit) that have any", kind: .quota,
      standard: .words("none"),
      reason: Self.undecided, example: example)
  }

  var calendarSpans: SettingDefinition {
    let (what, example) =
      switch self {
      case .keepWithin: ("everything", "2d")
      case .keepWithinHourly: ("the last one of each hour", "2d")
      case .keepWithinDaily: ("the last one of each day", "7d")
      case .keepWithinWeekly: ("the last one of each week", "2m")
      case .keepWithinMonthly: ("the last one of each month", "1y6m")
      default: ("the last one of each year", "10y")
      }
    return SettingDefinition(
      summary: "Keep \(what) this long before the newest (1y5m7d2h; m is months)", kind: .span,
      standard: .words("none"),
      reason: Self.undecided, example: example)
  }

  var tags: SettingDefinition {
    SettingDefinition(
      summary:
        "Keep what has this tag, or all of several with commas between them; more: an array, or `;` between them",
      kind: .tagLists, standard: .words("none"), reason: Self.undecided, example: "release")
  }
}
