/// A Python program of `Tests/Fixtures` that serves until the tests end.
// The process is only read and never stopped while tests run, so it may be shared.
package final class PythonServer: @unchecked Sendable {
  private let process: ProcessInBackground
  /// The lines that it printed before "ready".
  package let lines: [String]
  package var url: String { lines[0] }

  /// - Parameter python: the interpreter.
  package init(_ file: String, _ arguments: [String] = [], python: String = "python3") throws {
    process = try ProcessInBackground(python, ["\(projectFolder)/Tests/Fixtures/\(file)"] + arguments)
    try process.waitForLine("ready")
    lines = process.lines
  }

  package var output: [String] { process.lines }
}
