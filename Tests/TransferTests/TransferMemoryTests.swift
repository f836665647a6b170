import FoundationEssentials
import Glibc
import TestSupport
import Testing

@testable import Transfer

@Suite("Memory of transfers", .ownThread)
struct TransferMemoryTests {
  @Test("512 MiB go out and come in within 12 MiB", arguments: [nil, "good"])
  func flat(certificate: String?) async {
    await #expect(processExitsWith: .success) { [certificate] in
      let server = try TransferServer(certificate: certificate)
      let size: Int64 = 512 << 20
      let source = try TestFile(try server.folder.write("sparse", []))
      try #require(ftruncate(source.descriptor, off_t(size)) == 0)
      let client = TransferLoop().client(.test { $0.caFile = certificate.map { _ in server.certificateAuthority } })
      // The first exchange pays for the libraries and the thread.
      _ = try client.get(server.url("bytes?1"))
      let before = try ResidentMemory.resetPeak()
      let put = HTTPRequest(
        .put, server.url("silent-continue"), body: .file(descriptor: source.descriptor, offset: 0, length: size))
      try #require(try Echo(try client.perform(put, into: .memory(limit: 1000))).length == size)
      let sent = try ResidentMemory.peak() - before
      let null = try TestFile("/dev/null", O_WRONLY)
      let get = HTTPRequest(.get, server.url("zeros?\(size)"))
      let response = try client.perform(get, into: .file(descriptor: null.descriptor, offset: 0, limit: size))
      try #require(response.received == size)
      let received = try ResidentMemory.peak() - before
      try #require(sent <= 12 << 10 && received <= 12 << 10)
    }
  }
}

/// The peak of this process's resident memory, in KiB.
enum ResidentMemory {
  static func resetPeak() throws -> Int {
    try "5".write(toFile: "/proc/self/clear_refs", atomically: false, encoding: .utf8)
    return try peak()
  }

  static func peak() throws -> Int {
    let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
    return try #require(line.split(separator: " ").dropFirst().first.flatMap { Int($0) })
  }
}
