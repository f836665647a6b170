import BackupEngine
import ObjectStorage
import Transfer

extension Target {
  /// Opens the store for one piece of work, with a thread for its requests.
  ///
  /// - Parameter progress: its stop ends the requests at once.
  package func withStore<Result>(
    _ progress: Progress = Progress(), _ body: (any ObjectStore) throws -> Result
  ) rethrows -> Result {
    let loop = TransferLoop(limits: connection.limits, name: "target")
    defer { loop.stop() }
    progress.onStop { loop.stop() }
    return try body(connection.open(url, on: loop))
  }
}
