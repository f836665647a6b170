/// A Python program of `Tests/Fixtures` that serves until the tests end.
// The process is only read and never stopped while tests run, so it may be shared.
package final class PythonServer: @unchecked Sendable {
  private let process: ProcessInBackground
  /// The lines that it printed before "ready".
  package let lines: [String]
  package var url: String { lines[0] }

  package init(_ file: String, _ arguments: [String] = []) throws {
    process = try ProcessInBackground("python3", ["\(projectFolder)/Tests/Fixtures/\(file)"] + arguments)
    try process.waitForLine("ready")
    lines = process.lines
  }

  package var output: [String] { process.lines }
}
