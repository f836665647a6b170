import Dispatch
import Glibc
import Synchronization

/// A proxy between a client and an HTTP server on this machine that makes one mistake, at one
/// request.
package final class FaultProxy: Sendable {
  /// How far a request has come.
  package enum Moment: Sendable, Hashable, CaseIterable {
    /// The request has begun, and the server knows nothing of it.
    case start
    /// The server has half of the body.
    case body
    /// The server has executed the request, and the client knows nothing of it.
    case executed
    /// The client has half of the answer.
    case answer
  }

  package enum Fault: Sendable, Hashable {
    /// Both connections end.
    case cut(Moment)
    /// No byte moves any more, until the client gives up.
    case stall(Moment)
    /// The client gets this error, and the server never sees the request.
    case refuse(status: Int, code: String)
    /// The client gets this error although the server has executed the request.
    case misreport(status: Int, code: String)
    /// The server gets another byte in the middle of the body.
    case corrupt
    /// A byte in the middle of the answer is another one.
    case flip
    /// The second half of the answer is missing, and its length says nothing of it.
    case shorten
    /// The action of ``prepare(_:at:bucket:action:)`` is called, and the request goes on.
    case call(Moment)
  }

  /// One request that arrived.
  package struct Request: Sendable, Hashable, CustomStringConvertible {
    package var method: String
    /// The path and the query.
    package var target: String
    package var hasBody: Bool

    package var description: String { "\(method) \(target)" }
  }

  private let relay: Relay
  private let port: UInt16

  /// - Parameter server: its URL, such as `http://127.0.0.1:9000`.
  package init(to server: String) throws {
    let listener = try LocalSocket.listen()
    port = listener.port
    relay = Relay(listener.socket, server: server.split(separator: ":").last.flatMap { UInt16($0) } ?? 80)
    relay.start()
  }

  deinit { relay.stop() }

  package var url: String { "http://127.0.0.1:\(port)" }

  /// Counts requests anew.
  ///
  /// - Parameters:
  ///   - fault: nil for none.
  ///   - number: of the request with the fault, from 1.
  ///   - bucket: replaces the bucket in each path; nil to leave it as it is. So every case of a sweep
  ///     has an empty bucket under one address.
  package func prepare(
    _ fault: Fault?, at number: Int = 1, bucket: String? = nil, action: @escaping @Sendable () -> Void = {}
  ) {
    relay.plan.withLock { $0 = Relay.Plan(fault: fault, number: number, bucket: bucket, action: action) }
  }

  /// The requests since ``prepare(_:at:bucket:action:)``.
  package var requests: [Request] { relay.plan.withLock { $0.requests } }

  /// Whether the fault has happened.
  package var hasFailed: Bool { relay.plan.withLock { $0.fault != nil && $0.requests.count >= $0.number } }
}

/// The threads and sockets of a proxy.
private final class Relay: Sendable {
  struct Plan: Sendable {
    var fault: FaultProxy.Fault?
    var number: Int
    var bucket: String?
    var action: @Sendable () -> Void
    var requests: [FaultProxy.Request] = []
  }

  let plan = Mutex(Plan(number: 1, action: {}))
  private let listener: Int32
  private let server: UInt16
  /// Open sockets; nil after the end.
  private let open = Mutex<Set<Int32>?>([])

  init(_ listener: Int32, server: UInt16) { (self.listener, self.server) = (listener, server) }

  /// Each connection has a thread of its own.
  func start() {
    DispatchQueue(label: "proxy").async { [self] in
      while true {
        let client = accept(listener, nil, nil)
        if client < 0, errno == EINTR || errno == ECONNABORTED { continue }
        guard client >= 0 else { break }
        DispatchQueue(label: "connection").async { [self] in
          serve(client)
        }
      }
      close(listener)
    }
  }

  func stop() {
    shutdown(listener, Int32(SHUT_RDWR))
    open.withLock { sockets in
      for socket in sockets ?? [] { shutdown(socket, Int32(SHUT_RDWR)) }
      sockets = nil
    }
  }

  private func serve(_ client: Int32) {
    let isOpen = open.withLock { $0?.insert(client) != nil }
    let reader = SocketReader(client)
    while isOpen, let head = reader.head(), let request = RawRequest(head: head) {
      guard pass(request, reader, client, fault(of: request)), !request.closes else { break }
    }
    open.withLock { _ = $0?.remove(client) }
    // A process that another test has started in this moment may hold the socket as well, and a client
    // that waits for its end would wait for the end of that process.
    shutdown(client, Int32(SHUT_RDWR))
    close(client)
  }

  private func fault(of request: RawRequest) -> FaultProxy.Fault? {
    plan.withLock { plan in
      plan.requests.append(
        FaultProxy.Request(method: request.method, target: request.target, hasBody: request.length > 0))
      return plan.requests.count == plan.number ? plan.fault : nil
    }
  }

  /// - Returns: false if the connection is over.
  private func pass(
    _ request: RawRequest, _ reader: SocketReader, _ client: Int32, _ fault: FaultProxy.Fault?
  ) -> Bool {
    guard goesOn(.start, fault, client) else { return false }
    var request = request
    if request.expectsContinue { LocalSocket.send(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8), to: client) }
    request.body = reader.bytes(request.length)
    if let bucket = plan.withLock({ $0.bucket }) { request.target = Self.replaced(request.target, bucket) }
    if case .refuse(let status, let code)? = fault {
      return answer(RawResponse(status: status, code: code), request, client, fault)
    }
    guard let socket = try? LocalSocket.connect(server) else { return false }
    defer { close(socket) }
    let half = request.body.count / 2
    if fault == .corrupt, !request.body.isEmpty { request.body[half] ^= 1 }
    LocalSocket.send(request.head + request.body[..<half], to: socket)
    guard goesOn(.body, fault, client) else { return false }
    LocalSocket.send(request.body[half...], to: socket)
    guard let response = RawResponse(from: socket, to: request.method), goesOn(.executed, fault, client) else {
      return false
    }
    if case .misreport(let status, let code)? = fault {
      return answer(RawResponse(status: status, code: code), request, client, fault)
    }
    return answer(response, request, client, fault)
  }

  private func answer(
    _ response: RawResponse, _ request: RawRequest, _ client: Int32, _ fault: FaultProxy.Fault?
  ) -> Bool {
    var response = response
    let half = response.body.count / 2
    if request.method == "HEAD" { response.body = [] }
    if fault == .flip, !response.body.isEmpty { response.body[half] ^= 1 }
    if fault == .shorten { response.body = Array(response.body[..<half]) }
    let whole = response.head + response.body
    let cut = response.body.isEmpty ? whole.count / 2 : whole.count - response.body.count / 2
    guard LocalSocket.send(whole[..<cut], to: client), goesOn(.answer, fault, client) else { return false }
    return LocalSocket.send(whole[cut...], to: client)
  }

  private func goesOn(_ moment: FaultProxy.Moment, _ fault: FaultProxy.Fault?, _ client: Int32) -> Bool {
    switch fault {
    case .cut(moment): return false
    case .stall(moment):
      // Ends when the client closes its side.
      var byte: UInt8 = 0
      while recv(client, &byte, 1, 0) > 0 {}
      return false
    case .call(moment):
      plan.withLock { $0.action }()
      return true
    default: return true
    }
  }

  /// The target of a request in another bucket.
  private static func replaced(_ target: String, _ bucket: String) -> String {
    let rest = target.dropFirst().drop { $0 != "/" && $0 != "?" }
    return "/\(bucket)\(rest)"
  }
}
