import Glibc
import TestSupport
import Testing

@Suite("The example", .ownThread)
struct ExampleTests {
  @Test("The example runs and prints its steps")
  func shop() throws {
    let folder = try TemporaryFolder()
    let result = try Shell.run(folderOfThisProcess + "/example-shop", [folder.path])
    #expect(result.status == 0, "\(result.stderr)")
    #expect(
      result.stdout == """
        backed up 2000 orders, encrypted: true, compressed: true
        verified: true, errors: []
        listed: manual, verified
        after the accident there are 0 orders
        the plan: check_space, safety_backup, verify, stage, install_live, sync, record
        restored 2000 orders; what was there is kept: true
        watching: true, scheduled: at 02:30 on weekdays
        burst 1: a change backup has all 2020 orders
        burst 2: a change backup has all 2040 orders
        the next run is on the hour: true
        running: false
        kept: among the newest 1; the newest verified backup
        kept: safety backup younger than 7 days
        nothing failed: true

        """)
  }
}

/// Programs are built beside the tests.
let folderOfThisProcess: String = {
  var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
  let count = buffer.withUnsafeMutableBytes { readlink("/proc/self/exe", $0.baseAddress!, $0.count) }
  let path = String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
  return String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
}()
