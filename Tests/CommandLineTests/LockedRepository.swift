import TestSupport
import Testing

/// A repository whose lock another process has for as long as a command waits for it.
enum LockedRepository {
  /// Starts a command, and sends it SIGTERM as soon as it has the lock's file open.
  ///
  /// - Returns: its exit code as text.
  static func interrupt(
    _ arguments: [String], backups: String, in folder: String, environment: [String: String]
  ) throws -> String {
    let script = """
      import fcntl, os, signal, subprocess, sys, time

      backups, folder, *command = sys.argv[1:]
      signal.pthread_sigmask(signal.SIG_SETMASK, [])
      path = os.path.realpath(backups) + "/.state/lock"
      lock = open(path, "r+b")
      fcntl.flock(lock, fcntl.LOCK_EX)
      process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

      def waits():
          folder = f"/proc/{process.pid}/fd/"
          for name in os.listdir(folder):
              try:
                  if os.readlink(folder + name) == path: return True
              except FileNotFoundError:
                  pass  # closed meanwhile
          return False

      while process.poll() is None and not waits():
          time.sleep(0.001)
      process.send_signal(signal.SIGTERM)
      process.communicate()
      print(process.returncode, end="")
      """
    let result = try Python.run(
      script: script, arguments: [backups, folder, CommandBed.program] + arguments, environment: environment)
    try #require(result.status == 0, "\(result.stderr)")
    return result.stdout
  }
}
