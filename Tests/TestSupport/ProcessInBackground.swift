import BackupEngine
import BackupPolicy
import Glibc

/// A program that runs beside a test, and is killed with it.
///
/// Its standard output is an unnamed file and not a pipe: the write end of a pipe could leak into a
/// child that another test starts at the same moment, and keep the reader waiting forever.
package final class ProcessInBackground {
  private let process: pid_t
  package var id: Int32 { process }
  private let outputFile: Int32
  private var end: Int32?

  /// Starts a program, found along `PATH`.
  package init(_ program: String, _ arguments: [String]) throws {
    var template = Array("/tmp/holdfast-test-XXXXXX".utf8CString)
    let file = mkstemp(&template)
    guard file >= 0 else { throw HoldfastError(errno: errno, "create a file for", program) }
    unlink(template)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, file, 1)
    let command = Python.resolved([program] + arguments)
    let strings = command.map { strdup($0) }
    defer { strings.forEach { free($0) } }
    var started = pid_t()
    let failure = posix_spawnp(&started, command[0], &actions, nil, strings + [nil], environ)
    guard failure == 0 else {
      close(file)
      throw HoldfastError(errno: failure, "run", program)
    }
    process = started
    outputFile = file
  }

  deinit {
    stop()
    close(outputFile)
  }

  /// Waits until the program has written this line. Throws if the program ends before.
  package func waitForLine(_ line: String) throws {
    while !output.split(separator: "\n").contains(Substring(line)) {
      guard !hasEnded(options: WNOHANG) else {
        throw HoldfastError(.failed, "a child ended without saying \(line): \(output)")
      }
      usleep(2000)
    }
  }

  /// The program's output so far.
  package var lines: [String] { output.split(separator: "\n").map(String.init) }

  /// Sends SIGKILL and waits for the end. Idempotent.
  package func stop() {
    if end == nil { kill(process, SIGKILL) }
    _ = waitForEnd()
  }

  /// Waits for the end; the exit code, or 128 + the signal.
  package func waitForEnd() -> Int32 {
    _ = hasEnded(options: 0)
    return end ?? -1
  }

  private func hasEnded(options: Int32) -> Bool {
    guard end == nil else { return true }
    var status: Int32 = 0
    var result: pid_t
    repeat { result = waitpid(process, &status, options) } while result < 0 && errno == EINTR
    guard result == process else { return false }
    end = status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
    return true
  }

  package var isRunning: Bool { !hasEnded(options: WNOHANG) }

  /// The program's standard output so far.
  package var output: String {
    var status = stat()
    guard fstat(outputFile, &status) == 0 else { return "" }
    var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
    let count = pread(outputFile, &bytes, bytes.count, 0)
    return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
  }
}
