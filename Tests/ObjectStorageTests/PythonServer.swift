import TestSupport

/// A Python program of `Tests/Fixtures` that serves until the tests end.
// The process is only read and never stopped while tests run, so it may be shared.
final class PythonServer: @unchecked Sendable {
  private let process: ProcessInBackground
  /// The lines that it printed before "ready".
  let lines: [String]
  var url: String { lines[0] }

  init(_ file: String, _ arguments: [String] = []) throws {
    process = try ProcessInBackground("python3", ["\(projectFolder)/Tests/Fixtures/\(file)"] + arguments)
    try process.waitForLine("ready")
    lines = process.lines
  }

  var output: [String] { process.lines }
}
