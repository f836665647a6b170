import BackupPolicy
import TestSupport
import Testing

private let canTrace = (try? Shell.run("strace", ["-o", "/dev/null", "true"]))?.status == 0

/// The second opinion on faults: strace fails real system calls of a real process, or kills it at
/// one. (It counts calls per thread, and a killed process never loses the page cache, so the sweep
/// over `FileOperations` remains the first opinion.)
@Suite("Faults injected into the process", .ownThread, .enabled(if: canTrace, "strace cannot trace here"))
struct InjectionTests {
  struct Injection: Sendable, CustomStringConvertible {
    var call: String
    var fault: String
    var description: String { "\(call) \(fault)" }
  }

  static let injections = ["fsync", "pwrite64", "rename", "unlink"].flatMap { call in
    ["signal=KILL", "error=EIO", "error=ENOSPC"].map { Injection(call: call, fault: $0) }
  }

  /// Runs the command with the fault at every n-th call until the fault no longer strikes.
  private func sweep(
    _ injection: Injection, _ arguments: [String], prepare: (CommandBed) throws -> [String],
    check: (CommandBed, ProgramResult) throws -> Void
  ) throws {
    var struck = 0
    for number in 1...40 {
      let bed = try CommandBed()
      let more = try prepare(bed)
      let trace = bed.folder.path("trace")
      let result = try Shell.run(
        "strace",
        [
          "-f", "-qq", "-o", trace, "-e", "trace=\(injection.call)", "-e",
          "inject=\(injection.call):\(injection.fault):when=\(number)",
        ]
          + [CommandBed.program] + arguments + more, environment: bed.environment(), in: bed.folder.path)
      let log = String(decoding: try bed.folder.read("trace") ?? [], as: UTF8.self)
      guard log.contains("INJECTED") || log.contains("killed by SIGKILL") else { break }
      struck += 1
      try check(bed, result)
      if injection.fault == "error=ENOSPC", result.status != 0 {
        #expect(result.status == 7 || injection.call == "unlink", "\(injection), call \(number): \(result.stderr)")
      }
      if injection.fault != "signal=KILL" && result.status != 0 {
        #expect(result.stderr.contains("holdfast: error: "), "\(injection), call \(number): \(result.stderr)")
      }
      let all = try bed.run("verify", "--all")
      #expect(all.status == 0, "\(injection), call \(number): \(all.stdout)\(all.stderr)")
      #expect(try bed.value("PRAGMA integrity_check") == "ok", "\(injection), call \(number)")
    }
    // A command that never made the call proves nothing.
    #expect(struck > 0 || injection.call == "unlink", "\(injection)")
  }

  @Test("create survives a fault at every system call", arguments: injections)
  func create(_ injection: Injection) throws {
    try sweep(
      injection, ["create"],
      prepare: { bed in
        _ = try bed.create()
        return []
      },
      check: { bed, _ in
        let count = try bed.value("SELECT count(*) FROM entries")
        #expect(count == "1234", "\(injection)")
      })
  }

  @Test("A live restore survives a fault at every system call", arguments: injections)
  func restore(_ injection: Injection) throws {
    try sweep(
      injection, ["restore", "--yes"],
      prepare: { bed in
        let id = try bed.create()
        _ = try bed.value("DELETE FROM entries WHERE id > 1000")
        return [id]
      },
      check: { bed, result in
        let count = try bed.value("SELECT count(*) FROM entries")
        #expect(["1000", "1234"].contains(count), "\(injection): \(count)")
        if result.status == 0 { #expect(count == "1234", "\(injection)") }
      })
  }
}
