import BackupPolicy
import CShims
import Glibc

/// The minimum of threads that an agent needs. Dispatch starts some of them: if it cannot, it waits
/// forever, and a signal for the agent with it.
package enum ThreadSupply {
  /// How many backups an agent makes at once.
  package static var backups: Int { max(1, min(4, sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

  /// Tasks, three of Dispatch, the loop, housekeeping, SQLite's timeouts, a reader and the workers.
  package static var needed: Int { 8 + backups }

  /// Starts that many threads and lets them end: limits stand in several places (`ulimit -u`, `TasksMax=`, the container's
  /// `pids.max`, `kernel.threads-max`), and others use them up also.
  ///
  /// - Throws: `failed` if the system has fewer.
  package static func require(_ count: Int = needed) throws {
    var ends: [Int32] = [0, 0]
    guard cshims_pipe(&ends) == 0 else { throw HoldfastError(errno: errno, "start", "the agent's threads") }
    let (reading, writing) = (ends[0], ends[1])
    var threads: [pthread_t] = []
    defer {
      // The end of the pipe is what they wait for.
      close(writing)
      threads.forEach { pthread_join($0, nil) }
      close(reading)
    }
    while threads.count < count {
      do {
        let thread = try Workers.start("a thread") {
          var byte: UInt8 = 0
          _ = read(reading, &byte, 1)
        }
        threads.append(thread)
      } catch {
        throw HoldfastError(
          .failed, "the agent needs \(count) threads, and the system has \(threads.count) left",
          hint: Workers.threadAdvice)
      }
    }
  }
}
