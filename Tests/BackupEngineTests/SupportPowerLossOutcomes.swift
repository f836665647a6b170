import BackupEngine
import TestSupport

/// Shared parts of the suites about power loss.
protocol PowerLossSuite {}

extension PowerLossSuite {
  var old: [UInt8] { [UInt8](repeating: 1, count: 3000) }
  var new: [UInt8] { [UInt8](repeating: 2, count: 4000) }

  /// Runs `work` on a folder of its own, loses power after it, and returns the result of `look`:
  /// once for each seed.
  func outcomes<Outcome>(
    _ seeds: Range<UInt64> = 0..<64, before: (TemporaryFolder) throws -> Void = { _ in },
    work: (any FileOperations, TemporaryFolder) throws -> Void, look: (TemporaryFolder) throws -> Outcome
  ) throws -> [Outcome] {
    try seeds.map { seed in
      let folder = try TemporaryFolder()
      try before(folder)
      let loss = PowerLoss(root: folder.path)
      try work(loss, folder)
      try loss.crash(seed: seed)
      return try look(folder)
    }
  }

  func names(_ folder: TemporaryFolder) throws -> [String] {
    try SystemFileOperations().list(folder.path).sorted()
  }
}

extension FileOperations {
  /// Creates a file of one write, for the tests of the twins.
  func createFile(_ path: String, _ bytes: [UInt8], synced: Bool) throws {
    let file = try open(path, .createNew)
    defer { close(file) }
    try bytes.withUnsafeBytes { try write(file, $0, at: 0) }
    if synced { try sync(file) }
  }
}
