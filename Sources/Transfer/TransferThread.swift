import CCurl
import CShims
import Glibc

/// The loop's thread: libcurl's multi handle and the exchanges that it performs. Nothing of it is
/// used by another thread.
final class TransferThread {
  private let start: Start
  private var queue: TransferQueue { start.queue }
  private let pacing: Pacing
  private var multi: UnsafeMutableRawPointer?
  private var active: [ActiveExchange.ID: ActiveExchange] = [:]
  private var nextID: ActiveExchange.ID = 0

  private init(_ start: Start) {
    self.start = start
    pacing = Pacing(start.limits)
  }

  private func run() {
    while !queue.isStopped {
      begin()
      if active.isEmpty { park() } else { transfer() }
    }
    for exchange in active.values { complete(exchange, .failure(.stopped)) }
    for exchange in queue.take({ _ in true }) { exchange.finish(.failure(.stopped)) }
    release()
  }

  /// Sleeps until there is an exchange. After the idle limit, connections and caches go.
  private func park() {
    let limit = multi.map { _ in MonotonicClock.now() + start.idleLimit * 1_000_000 }
    if !queue.waitForWork(until: limit) { release() }
  }

  /// Begins all exchanges whose servers have a free connection.
  private func begin() {
    var counts: [String: Int] = [:]
    for exchange in active.values { counts[exchange.origin, default: 0] += 1 }
    let exchanges = queue.take { exchange in
      guard counts[exchange.server.origin, default: 0] < max(1, exchange.settings.connections) else { return false }
      counts[exchange.server.origin, default: 0] += 1
      return true
    }
    for exchange in exchanges { begin(exchange) }
  }

  /// - Parameter isSecondTry: it must not get an idle connection again.
  private func begin(_ exchange: Exchange, isSecondTry: Bool = false) {
    guard let multi = multi ?? create(), let handle = EasyHandle() else { return exchange.finish(.failure(.noMemory)) }
    nextID += 1
    let started = ActiveExchange(nextID, exchange, handle, pacing, isSecondTry: isSecondTry)
    if let failure = ExchangeOptions.apply(to: started) { return exchange.finish(.failure(failure)) }
    if isSecondTry { handle.set(CURLOPT_FRESH_CONNECT, true) }
    guard curl_multi_add_handle(multi, handle.pointer) == CURLM_OK else {
      return exchange.finish(.failure(.noMemory))
    }
    active[started.id] = started
  }

  /// One step: lets libcurl move bytes, then waits for sockets, timers, the pacer or a wake-up.
  private func transfer() {
    guard let multi else { return }
    var running: Int32 = 0
    guard curl_multi_perform(multi, &running) == CURLM_OK else {
      for exchange in active.values { complete(exchange, .failure(.noMemory)) }
      return release()
    }
    collect(from: multi)
    resumePaused()
    guard !active.isEmpty else { return }
    let wait = pacing.pacer.wait(at: MonotonicClock.now()) ?? 60_000_000_000
    // Rounded up, so that the pacer's moment has come after the wait. libcurl shortens the wait for
    // its own timers.
    curl_multi_poll(multi, nil, 0, Int32(min(60_000, (wait + 999_999) / 1_000_000)), nil)
  }

  private func collect(from multi: UnsafeMutableRawPointer) {
    var left: Int32 = 0
    while let message = curl_multi_info_read(multi, &left) {
      guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle else { continue }
      let code = message.pointee.data.result
      guard let exchange = active.values.first(where: { $0.handle.pointer == easy }) else { continue }
      if exchange.isStale(code) {
        remove(exchange)
        begin(exchange.exchange, isSecondTry: true)
      } else {
        complete(exchange, exchange.result(code))
      }
    }
  }

  private func resumePaused() {
    let now = MonotonicClock.now()
    for id in pacing.pacer.upload.resume(at: now) { resume(id) { $0.resumeSending() } }
    for id in pacing.pacer.download.resume(at: now) { resume(id) { $0.resumeReceiving() } }
  }

  private func resume(_ id: ActiveExchange.ID, _ body: (ActiveExchange) -> CURLcode) {
    guard let exchange = active[id] else { return }
    let code = body(exchange)
    if code != CURLE_OK { complete(exchange, exchange.result(code)) }
  }

  private func complete(_ exchange: ActiveExchange, _ result: Result<HTTPResponse, TransferError>) {
    remove(exchange)
    exchange.exchange.finish(result)
  }

  private func remove(_ exchange: ActiveExchange) {
    if let multi { curl_multi_remove_handle(multi, exchange.handle.pointer) }
    active[exchange.id] = nil
    pacing.pacer.forget(exchange.id)
  }

  private func create() -> UnsafeMutableRawPointer? {
    guard Self.libraryIsReady, let created = curl_multi_init() else { return nil }
    // As many idle connections as a restore uses at once.
    _ = ccurl_multi_set_long(created, CURLMOPT_MAXCONNECTS, 16)
    multi = created
    queue.publish(created)
    return created
  }

  private func release() {
    guard let multi else { return }
    queue.publish(nil)
    curl_multi_cleanup(multi)
    self.multi = nil
  }

  private static let libraryIsReady = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

  /// All that the thread is made of.
  struct Start: Sendable {
    let queue: TransferQueue
    let limits: TransferLimits
    let idleLimit: Int64
    let name: String

    /// Starts the thread, which the caller joins.
    func run() -> Result<pthread_t, TransferError> {
      let box = Unmanaged.passRetained(Box(start: self))
      var (thread, all, before) = (pthread_t(), sigset_t(), sigset_t())
      // The thread inherits the mask: OpenSSL's writes to a closed connection must not end the
      // process with SIGPIPE, and the program's other signals are not its work.
      sigfillset(&all)
      pthread_sigmask(SIG_SETMASK, &all, &before)
      let failure = pthread_create(
        &thread, nil,
        {
          // `pthread_create` passes on the pointer that it received, which is never nil.
          let start = Unmanaged<Box>.fromOpaque($0!).takeRetainedValue().start
          cshims_name_thread(start.name)
          TransferThread(start).run()
          return nil
        }, box.toOpaque())
      pthread_sigmask(SIG_SETMASK, &before, nil)
      guard failure != 0 else { return .success(thread) }
      box.release()
      return .failure(TransferError(.other, "cannot start the thread for transfers: the limit of threads is reached"))
    }

    private final class Box: Sendable {
      let start: Start
      init(start: Start) { self.start = start }
    }
  }
}

/// The pacer, shared by the thread and the exchanges that libcurl calls on it.
final class Pacing {
  var pacer: TransferPacer

  init(_ limits: TransferLimits) {
    pacer = TransferPacer(
      limits, sendTurn: Int64(ExchangeOptions.sendBuffer), receiveTurn: Int64(ExchangeOptions.receiveBuffer),
      at: MonotonicClock.now())
  }
}

extension TransferError {
  static var noMemory: TransferError { TransferError(.other, "libcurl has no memory or no descriptors for a transfer") }
}
