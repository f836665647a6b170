import Names

/// A program that prints credentials as JSON.
///
/// Its arguments are split like a shell does, and no shell runs. The last line of its error output is
/// part of the error.
/// https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
struct CredentialProcess {
  let command: String
  let source: String
  /// Milliseconds until the program is killed.
  var timeout: Int64 = 30_000
  /// Whether the caller no longer waits for the answer.
  var isStopped: @Sendable () -> Bool = { false }

  func credentials() throws(StoreError) -> StoreCredentials {
    guard let arguments = Self.arguments(command), let program = arguments.first else {
      throw failure("the command has an open quote or is empty")
    }
    var helper = HelperProcess(program, arguments, timeout: timeout, isStopped: isStopped)
    let answer: [UInt8]
    do throws(HelperProcess.Failure) {
      answer = try helper.run()
    } catch {
      throw failure(error, program.printable, helper.lastLine)
    }
    return try CredentialsAnswer.credentials(answer, source: source)
  }

  private func failure(_ reason: String) -> StoreError {
    var error = StoreError(.noCredentials, "\(source): \(reason)")
    error.code = StoreError.helperFailed
    return error
  }

  /// - Parameter line: the program's own reason.
  private func failure(_ failure: HelperProcess.Failure, _ program: String, _ line: String?) -> StoreError {
    let words: String
    switch failure {
    case .notStarted(let number): return StoreError(errno: number, "\(source): cannot run \(program)")
    case .stopped: return StoreError(.cancelled, "\(source): \(program) was stopped")
    case .exit(let code): words = "\(program) failed with exit code \(code)"
    case .signal(let number): words = "\(program) was ended by signal \(number)"
    case .timeout: words = "\(program) did not end within \((timeout + 999) / 1000) s and was killed"
    case .tooLong: words = "\(program) printed too much and was killed"
    }
    return self.failure(words + (line.map { ": \($0)" } ?? ""))
  }

  /// Words, with quotes and backslashes as in a POSIX shell. Nil if a quote has no end.
  static func arguments(_ command: String) -> [String]? {
    var words: [String] = []
    var word: String?
    var quote: Character?
    var escaped = false
    for character in command {
      if escaped {
        word = (word ?? "") + String(character)
        escaped = false
      } else if character == "\\", quote != "'" {
        escaped = true
      } else if let open = quote {
        if character == open { quote = nil } else { word = (word ?? "") + String(character) }
      } else if character == "'" || character == "\"" {
        quote = character
        word = word ?? ""
      } else if character.isWhitespace {
        if let ended = word { words.append(ended) }
        word = nil
      } else {
        word = (word ?? "") + String(character)
      }
    }
    if let ended = word { words.append(ended) }
    return quote == nil && !escaped ? words : nil
  }
}

extension StoreError {
  /// The ``code`` of a failure of a `credential_process`.
  static let helperFailed = "CredentialProcess"

  /// Whether a `credential_process` failed.
  package var isOfHelper: Bool { code == Self.helperFailed }
}
