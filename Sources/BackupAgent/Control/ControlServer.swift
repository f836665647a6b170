import BackupEngine
import BackupPolicy
import CShims
import Glibc
import Logging
import Synchronization

/// Listens for commands on a thread of its own, and passes requests to the event loop. Slow, silent
/// and hostile clients cost a place among ``mostConnections`` for a few seconds, and the loop
/// nothing.
final class ControlServer: Sendable {
  /// Clients at the same time; others wait in the kernel's queue.
  static let mostConnections = 16

  /// Clients among them that follow, or wait for work. The other places are for commands that have
  /// their answer at once.
  static let mostWaiting = 8

  /// Under a lower limit of open files, backups need them all.
  static let leastDescriptors = 32

  /// The path of the socket.
  let path: String
  private let thread: AgentThread
  private let orders: Mailbox<ControlOrder>

  /// Listens at once.
  ///
  /// - Parameter inbox: gets the requests, and a message when a client has ended.
  init(in stateFolder: String, _ inbox: Mailbox<LoopMessage>, _ clock: @escaping @Sendable () -> Int64) throws {
    let (descriptor, path) = try ControlSocket.listen(in: stateFolder)
    self.path = path
    let orders: Mailbox<ControlOrder>
    do {
      orders = try Mailbox(blocking: false)
      thread = try AgentThread("holdfast-ctl") {
        var listener = ControlListener(descriptor, orders, inbox, clock)
        listener.run()
      }
    } catch {
      close(descriptor)
      unlink(path)
      throw error
    }
    self.orders = orders
  }

  /// Ends all connections, and the thread. What was sent before still reaches clients that read it.
  func stop() {
    orders.post(.quit)
    thread.join()
    unlink(path)
  }
}

/// Messages to the thread of ``ControlServer``.
enum ControlOrder: Sendable {
  case send(connection: Int, answer: JSONObject, isLast: Bool)
  case quit
}

/// The thread's work: waits for clients, their lines, and the answers of the loop.
private struct ControlListener {
  private let descriptor: Int32
  private let orders: Mailbox<ControlOrder>
  private let inbox: Mailbox<LoopMessage>
  private let clock: @Sendable () -> Int64
  private var connections: [ControlConnection] = []
  private var lastID = 0
  private var isOver = false
  /// After a failed accept, such as one without a descriptor left, the thread waits for a moment.
  private var acceptsFrom = Int64.min

  init(
    _ descriptor: Int32, _ orders: Mailbox<ControlOrder>, _ inbox: Mailbox<LoopMessage>,
    _ clock: @escaping @Sendable () -> Int64
  ) {
    (self.descriptor, self.orders, self.inbox, self.clock) = (descriptor, orders, inbox, clock)
  }

  mutating func run() {
    while !isOver {
      let ready = wait()
      let time = clock()
      if ready.accepts { accept(at: time) }
      for order in orders.removeAll() { carryOut(order, at: time) }
      for index in connections.indices { serve(index, ready.events[connections[index].id] ?? 0, at: time) }
      for connection in connections where connection.isOver { inbox.post(.replyEnded(connection.id)) }
      connections.removeAll(where: \.isOver)
    }
    for index in connections.indices { connections[index].end() }
    close(descriptor)
  }

  private var isFull: Bool { connections.count >= ControlServer.mostConnections }

  private func wait() -> (accepts: Bool, events: [Int: Int16]) {
    let time = clock()
    let hasPlace = !isFull && acceptsFrom <= time
    var entries = [
      pollfd(fd: orders.wakeUp.descriptor, events: Int16(POLLIN), revents: 0),
      pollfd(fd: hasPlace ? descriptor : -1, events: Int16(POLLIN), revents: 0),
    ]
    entries += connections.map { pollfd(fd: $0.descriptor, events: $0.events, revents: 0) }
    let pause = acceptsFrom > time ? acceptsFrom : nil
    let deadlines = connections.map { $0.deadline(isCrowded: isFull) } + [pause]
    let deadline = deadlines.compactMap { $0 }.min()
    _ = poll(&entries, nfds_t(entries.count), deadline.map { Int32(clamping: max(0, $0 - time)) } ?? -1)
    if entries[0].revents != 0 { orders.wakeUp.consume() }
    let events = zip(connections, entries.dropFirst(2)).map { ($0.id, $1.revents) }
    return (entries[1].revents != 0, Dictionary(uniqueKeysWithValues: events))
  }

  private mutating func accept(at time: Int64) {
    let client = cshims_accept(descriptor)
    guard client >= 0 else {
      if errno != EAGAIN, errno != EINTR, errno != ECONNABORTED { acceptsFrom = time + 1000 }
      return
    }
    guard ControlSocket.accepts(client) else {
      close(client)
      return
    }
    lastID += 1
    connections.append(ControlConnection(id: lastID, descriptor: client, at: time))
  }

  private mutating func carryOut(_ order: ControlOrder, at time: Int64) {
    switch order {
    case .send(let id, let answer, let isLast):
      guard let index = connections.firstIndex(where: { $0.id == id }) else { return }
      let document = JSONValue.object(answer.merging(["version": .integer(ControlRequest.version)]))
      connections[index].send(document.encodedLine(), isLast: isLast, at: time)
    case .quit: isOver = true
    }
  }

  private mutating func serve(_ index: Int, _ events: Int16, at time: Int64) {
    if events & Int16(POLLIN) != 0, let request = connections[index].receive() {
      return pass(request, from: index, at: time)
    }
    if let deadline = connections[index].deadline(isCrowded: isFull), deadline <= time {
      return connections[index].end()
    }
    if events & Int16(POLLHUP | POLLERR | POLLNVAL) != 0 {
      connections[index].end()
    } else if events & Int16(POLLOUT) != 0 {
      connections[index].flush(at: time)
    }
  }

  private mutating func pass(_ request: Result<ControlRequest, any Error>, from index: Int, at time: Int64) {
    let id = connections[index].id
    let reply = ControlReply(id: id) { [orders] in orders.post(.send(connection: id, answer: $0, isLast: $1)) }
    switch request {
    case .success(let request):
      guard !request.command.isLong || connections.count(where: \.isLong) < ControlServer.mostWaiting else {
        return reply.send(Self.tooManyWait)
      }
      connections[index].isLong = request.command.isLong
      inbox.post(.request(request, reply))
    case .failure(let error): reply.send(HoldfastError(wrapping: error))
    }
  }

  private static let tooManyWait = HoldfastError(
    .busy, "\(ControlServer.mostWaiting) commands already follow the agent or wait for its work",
    hint: "end one of them: holdfast follow, backup-now --wait or sync")
}
