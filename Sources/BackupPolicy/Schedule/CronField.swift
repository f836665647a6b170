/// One of the five fields: which values it takes, and what they are called.
enum CronField: Int, CaseIterable {
  case minute
  case hour
  case dayOfMonth
  case month
  case dayOfWeek

  /// `minute`, `day of month`, as messages say it.
  var name: String {
    switch self {
    case .minute: "minute"
    case .hour: "hour"
    case .dayOfMonth: "day of month"
    case .month: "month"
    case .dayOfWeek: "weekday"
    }
  }

  /// `a` or `an`, as its name needs it.
  var article: String { self == .hour ? "an" : "a" }

  /// The values that mean something different; 7 is Sunday once more.
  var values: ClosedRange<Int> {
    switch self {
    case .minute: 0...59
    case .hour: 0...23
    case .dayOfMonth: 1...31
    case .month: 1...12
    case .dayOfWeek: 0...6
    }
  }

  /// The values that may be written.
  var writable: ClosedRange<Int> { self == .dayOfWeek ? 0...7 : values }

  /// Three letters each, from the lowest value on.
  var names: [String] {
    switch self {
    case .month: ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    case .dayOfWeek: ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    default: []
    }
  }

  /// The value that a name in any case stands for.
  func value(named name: String) -> Int? {
    names.firstIndex { $0.lowercased() == name.lowercased() }.map { $0 + values.lowerBound }
  }

  /// `0-7 or Sun-Sat, where 0 and 7 are Sunday`: what may be written.
  var allowed: String {
    switch self {
    case .minute: "minutes are 0-59"
    case .hour: "hours are 0-23"
    case .dayOfMonth: "days of the month are 1-31"
    case .month: "months are 1-12 or Jan-Dec"
    case .dayOfWeek: "weekdays are 0-7, where 0 and 7 are Sunday, or Sun-Sat"
    }
  }
}
