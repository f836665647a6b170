import BackupEngine
import BackupPolicy
import Glibc

/// A program of its own that opens connections to a database and executes a test's commands on
/// them, one at a time.
///
/// Commands go through a FIFO: the program ends with its parent because no other process has the
/// other end open.
package final class DatabaseProcess {
  private let process: ProcessInBackground
  private let commands: Int32
  private var sent = 0

  /// - Parameters:
  ///   - path: the database.
  ///   - folder: the folder of the FIFO.
  package init(_ path: String, in folder: TemporaryFolder) throws {
    let fifo = folder.path("commands-\(UInt64.random(in: 0 ... .max))")
    guard mkfifo(fifo, 0o600) == 0 else { throw HoldfastError(errno: errno, "create", fifo) }
    // Also for reading, so that opening does not wait for the other side.
    commands = open(fifo, O_RDWR | O_CLOEXEC)
    guard commands >= 0 else { throw HoldfastError(errno: errno, "open", fifo) }
    process = try ProcessInBackground("python3", ["-c", Self.script, path, fifo])
    try process.waitForLine("ready")
    unlink(fifo)
  }

  deinit {
    process.stop()
    close(commands)
  }

  /// Runs statements on a connection; opens it if it is not yet open.
  ///
  /// - Returns: `ok`, or the reason why one of them failed; then the transaction is rolled back.
  @discardableResult
  package func run(_ sql: String, on connection: Int = 0) throws -> String {
    try send(sql, to: connection)
    while true {
      if let answer = process.lines.last(where: { $0.hasPrefix("\(sent) ") }) {
        return String(answer.dropFirst("\(sent) ".count))
      }
      guard process.isRunning else { throw HoldfastError(.failed, "the other process ended: \(process.output)") }
      usleep(200)
    }
  }

  /// Closes a connection as an application does.
  package func closeConnection(_ connection: Int = 0) throws { try run("CLOSE", on: connection) }

  /// Kills the program while it runs statements, or just before, or just after.
  package func kill(after microseconds: UInt32, of sql: String, on connection: Int = 0) throws {
    try send(sql, to: connection)
    usleep(microseconds)
    process.stop()
  }

  private func send(_ sql: String, to connection: Int) throws {
    sent += 1
    let line = Array("\(connection)\t\(sql.split(separator: "\n").joined(separator: " "))\n".utf8)
    // Short enough that a pipe accepts it whole.
    guard write(commands, line, line.count) == line.count else {
      throw HoldfastError(errno: errno, "write to", "the other process")
    }
  }

  private static let script = """
    import sqlite3, sys
    path, fifo = sys.argv[1:]
    connections = {}
    commands = open(fifo)
    print("ready", flush=True)
    for number, line in enumerate(commands, 1):
        name, sql = line.rstrip().split("\\t", 1)
        result = "ok"
        try:
            if sql == "CLOSE":
                if name in connections:
                    connections.pop(name).close()
            else:
                if name not in connections:
                    connections[name] = sqlite3.connect(path, isolation_level=None, timeout=0.5)
                for statement in sql.split(";"):
                    if statement.strip():
                        connections[name].execute(statement).fetchall()
        except sqlite3.Error as error:
            result = f"{error}"
            if name in connections and connections[name].in_transaction:
                connections[name].execute("ROLLBACK")
        print(number, result, flush=True)
    """
}
