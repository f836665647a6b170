import BackupPolicy

/// Why a value does not fit: what comes after the name of the setting, and what to write instead.
struct ValueProblem: Error, Hashable {
  /// `is "maybe", which is not true or false`.
  var problem: String
  /// The same in the words of those who parse flags: `'maybe' is invalid: it is not true or false`.
  var problemOfFlag: String
  var hint: String
  /// Where an item of an array is to blame.
  var position: FilePosition?

  /// - Parameter expected: what would fit.
  init(_ raw: RawValue, isNot expected: String, hint: String? = nil) {
    problem = "is \(raw.quoted), which is not \(expected)"
    problemOfFlag = "'\(raw.text.shortened)' is invalid: it is not \(expected)"
    self.hint = hint ?? "use \(expected)"
  }

  /// What a reader of text says.
  ///
  /// - Parameters:
  ///   - subject: how its messages begin, which the setting's name says already.
  ///   - hint: unless it has one.
  init(_ error: any Error, about subject: String, hint: String) {
    guard let error = error as? HoldfastError else {
      self.init(problem: ": \(error)", hint: hint)
      return
    }
    let message = error.message
    let rest = message.hasPrefix("\(subject) ") ? "is\(message.dropFirst(subject.count))" : ": \(message)"
    self.init(problem: rest, hint: error.hint ?? hint)
  }

  init(problem: String, hint: String) {
    self.problem = problem
    problemOfFlag = problem
    self.hint = hint
  }
}
