import FoundationEssentials
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Transfer

@Suite("The loop's thread", .ownThread)
struct TransferLoopTests {
  private let server: TransferServer

  init() throws { server = try TransferServer() }

  @Test("Without an exchange, the thread does not run")
  func idle() throws {
    let name = Self.threadName()
    let loop = TransferLoop(name: name)
    #expect(LoopThread(name) == nil)
    let client = loop.client(.test())
    Callers.run(8) { [address = server.address] _ in _ = try? client.get(address.url("bytes?100000")) }
    let thread = try #require(LoopThread(name))
    try thread.waitUntilAsleep()
    let before = try thread.switches()
    sleep(2)
    #expect(try thread.switches() == before)
    loop.stop()
    #expect(LoopThread(name) == nil)
  }

  @Test("After the idle limit, connections are closed and the thread never runs again")
  func idleLimit() throws {
    let name = Self.threadName()
    let loop = TransferLoop(idleLimit: 300, name: name)
    let client = loop.client(.test())
    _ = try client.get(server.url("bytes?1"))
    try server.waitForEvent("1 closed")
    let thread = try #require(LoopThread(name))
    try thread.waitUntilAsleep()
    let before = try thread.switches()
    sleep(2)
    #expect(try thread.switches() == before)
    _ = try client.get(server.url("bytes?2"))
    #expect(server.events.contains("2 GET /bytes?2"))
  }

  @Test("Exchanges one after the other share a connection")
  func reuse() throws {
    let client = TransferLoop().client(.test())
    for number in 0..<5 { _ = try client.get(server.url("bytes?\(number)")) }
    #expect(server.events == (0..<5).map { "1 GET /bytes?\($0)" })
  }

  @Test("Programs that this process starts do not inherit a connection")
  func inheritance() throws {
    let loop = TransferLoop()
    _ = try loop.client(.test()).get(server.url("bytes?1"))
    let connections = (0..<Int32(1024)).filter { Self.peerPort(of: $0) == server.port }
    #expect(connections.count == 1)
    for descriptor in connections { #expect(fcntl(descriptor, F_GETFD) & FD_CLOEXEC != 0) }
    loop.stop()
  }

  @Test("No more exchanges than allowed run at once with one server", arguments: [1, 3])
  func connections(count: Int) throws {
    let client = TransferLoop().client(.test { $0.connections = count })
    let most = Mutex<[Int]>([])
    Callers.run(8) { [address = server.address] _ in
      guard let response = try? client.get(address.url("gather?\(count)")) else { return }
      most.withLock { $0.append(Int(String(decoding: response.body, as: UTF8.self)) ?? 0) }
    }
    #expect(most.withLock { $0.count } == 8)
    #expect(most.withLock { $0.max() } == count)
  }

  @Test("A server that stalls delays no exchange with another")
  func independence() throws {
    let other = try TransferServer()
    let loop = TransferLoop()
    let client = loop.client(.test { $0.connections = 1 })
    let stalled = Callers.start(2) { [address = server.address] _ in
      #expect(client.failure(HTTPRequest(.get, address.url("stall")))?.name == "cancelled")
    }
    try server.waitForEvent("1 GET /stall")
    #expect(try client.get(other.url("bytes?5")).body.count == 5)
    loop.stop()
    stalled.wait()
    // The second one never began.
    #expect(server.events == ["1 GET /stall"])
  }

  @Test("A stop cancels exchanges that run and wait, and all later ones")
  func stop() throws {
    let loop = TransferLoop()
    // On a busy machine the server may need longer than the usual limit to report them.
    let client = loop.client(
      .test {
        $0.connections = 2
        $0.stallLimit = 600_000
      })
    let source = try TestFile(server.folder, "source", size: 8_000_000)
    let body = HTTPBody.file(descriptor: source.descriptor, offset: 0, length: 8_000_000)
    let callers = Callers.start(6) { [address = server.address] number in
      let request = HTTPRequest(.put, address.url(number % 2 == 0 ? "deaf" : "stall"), body: body)
      #expect(client.failure(request)?.name == "cancelled")
    }
    for _ in 0..<60_000 where server.events.count < 2 { usleep(2000) }
    #expect(server.events.count >= 2)
    loop.stop()
    callers.wait()
    #expect(client.failure(HTTPRequest(.get, server.url("bytes?1")))?.name == "cancelled")
    loop.stop()
  }

  @Test("A loop that was never used stops")
  func unused() {
    let loop = TransferLoop()
    loop.stop()
    #expect(loop.client(.test()).failure(HTTPRequest(.get, server.url("bytes?1")))?.name == "cancelled")
  }

  @Test("Many callers at once get their own answers")
  func many() throws {
    let client = TransferLoop().client(.test())
    let wrong = Mutex(0)
    Callers.run(32) { [address = server.address] number in
      for round in 0..<5 {
        let size = number * 1000 + round
        let response = try? client.get(address.url("bytes?\(size)"))
        if response?.body.count != size { wrong.withLock { $0 += 1 } }
      }
    }
    #expect(wrong.withLock { $0 } == 0)
  }

  @Test("A limit of bandwidth holds for all exchanges together, and all of them are whole")
  func bandwidth() throws {
    let loop = TransferLoop(limits: TransferLimits(upload: 400_000, download: 400_000))
    let client = loop.client(.test { $0.stallLimit = 1000 })
    let bytes = TestContent.bytes(150_000)
    let digest = try TestContent.sha256(bytes)
    let start = MonotonicClock.now()
    Callers.run(4) { [address = server.address] _ in
      let request = HTTPRequest(.put, address.url("echo"), body: .bytes(bytes))
      #expect((try? Echo(client.perform(request, into: .memory(limit: 1000)))).map(\.sha256) == digest)
    }
    // 100,000 bytes are there at once; the rest cannot be sent in less time than this.
    #expect(MonotonicClock.now() - start >= 1_250_000_000)
    let middle = MonotonicClock.now()
    Callers.run(4) { [address = server.address] _ in
      #expect((try? client.get(address.url("bytes?150000")))?.body.count == 150_000)
    }
    // The last 64 KiB of each may be ahead of the limit.
    #expect(MonotonicClock.now() - middle >= 500_000_000)
  }

  /// The port at the other end of an IPv4 socket.
  private static func peerPort(of descriptor: Int32) -> Int? {
    var (address, length) = (sockaddr_in(), socklen_t(MemoryLayout<sockaddr_in>.size))
    let result = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &length) }
    }
    return result == 0 && address.sin_family == AF_INET ? Int(UInt16(bigEndian: address.sin_port)) : nil
  }

  private static func threadName() -> String { "xfer-\(UInt32.random(in: 0 ... .max))" }
}

/// Threads that call a client, which blocks.
final class Callers {
  private var threads: [pthread_t] = []

  private final class Start {
    let body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
  }

  static func start(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) -> Callers {
    let callers = Callers()
    for index in 0..<count {
      var thread = pthread_t()
      pthread_create(
        &thread, nil,
        {
          Unmanaged<Start>.fromOpaque($0!).takeRetainedValue().body()
          return nil
        }, Unmanaged.passRetained(Start { body(index) }).toOpaque())
      callers.threads.append(thread)
    }
    return callers
  }

  func wait() {
    for thread in threads { pthread_join(thread, nil) }
    threads = []
  }

  static func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) { start(count, body).wait() }
}

/// A thread of this process, as the kernel reports it.
struct LoopThread {
  private let folder: String

  /// Nil if there is no thread of this name.
  init?(_ name: String) {
    let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
    guard let task = tasks.first(where: { Self.read("/proc/self/task/\($0)/comm") == "\(name)\n" }) else { return nil }
    folder = "/proc/self/task/\(task)"
  }

  /// How often the thread was put to sleep or interrupted.
  func switches() throws -> [String] {
    let status = try #require(Self.read("\(folder)/status"))
    return status.split(separator: "\n").filter { $0.contains("ctxt_switches") }.map(String.init)
  }

  #if arch(arm64)
    private static let futex = 98
  #else
    private static let futex = 202
  #endif

  /// Waits until the thread is in a futex: in the condition, and not in poll.
  func waitUntilAsleep() throws {
    while true {
      let call = try #require(Self.read("\(folder)/syscall"))
      if call.hasPrefix("\(Self.futex) ") { return }
      usleep(2000)
    }
  }

  private static func read(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
}
