import BackupEngine
import BackupPolicy
import CShims
import Glibc

/// The place where an agent listens for commands: a Unix socket in the state folder of its user.
///
/// Only that user and root can use it. The folder has the mode 0700 and the socket 0600; in addition
/// the agent asks the kernel for the user of each client, and a client for the user of the agent.
/// Each repository's `.state/agent.lock` names the socket of the agent that guards it. While a
/// repository is away, commands ask each agent of their user whether it guards it.
enum ControlSocket {
  /// A socket that a dead agent left is removed when it is older than this, in seconds. A new one may
  /// not accept yet.
  private static let leftoverAge = 60

  static func folder(in stateFolder: String) -> String { "\(stateFolder)/agents" }

  /// Creates the socket and listens.
  ///
  /// - Returns: a non-blocking descriptor, and the path, which the caller removes at the end.
  static func listen(in stateFolder: String) throws -> (descriptor: Int32, path: String) {
    let folder = folder(in: stateFolder)
    try SystemFileOperations().makeFolders(stateFolder)
    if mkdir(folder, 0o700) != 0, errno != EEXIST { throw HoldfastError(errno: errno, "create", folder) }
    // A folder that others can write is not ours to trust.
    var status = stat()
    guard lstat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid() else {
      throw HoldfastError(.refused, "\(folder) is not a folder of this user")
    }
    if status.st_mode & 0o077 != 0, chmod(folder, 0o700) != 0 {
      throw HoldfastError(errno: errno, "change the mode of", folder)
    }
    removeLeftovers(in: folder)
    let path = "\(folder)/\(getpid())-\(String(UInt32.random(in: 0 ... .max), radix: 16)).sock"
    return (try open(path, listens: true), path)
  }

  /// Whether a path has the form of those that agents create. A record in a repository may be
  /// anybody's, and a command must not send requests to some other socket that it names.
  static func isOurs(_ path: String) -> Bool {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    guard path.hasPrefix("/"), parts.count > 2, parts[parts.count - 2] == "agents", path.utf8.count < 4096 else {
      return false
    }
    return process(of: path) != nil && !parts.contains("..")
  }

  /// The agent's process, by the name of its socket; nil if no agent makes such names.
  static func process(of path: String) -> pid_t? {
    guard path.hasSuffix(".sock"), let name = path.split(separator: "/").last else { return nil }
    let words = name.dropLast(5).split(separator: "-", omittingEmptySubsequences: false)
    guard words.count == 2, UInt32(words[1], radix: 16) != nil else { return nil }
    return pid_t(words[0], radix: 10)
  }

  /// Connects to an agent.
  ///
  /// - Parameter owners: the users that may run it, besides root and this one: the owner of the
  ///   repository that names the socket.
  /// - Returns: a non-blocking descriptor; nil if no agent listens there.
  /// - Throws: `refused` if another user's process listens there.
  static func connect(to path: String, owners: Set<uid_t>) throws -> Int32? {
    let descriptor: Int32
    do {
      descriptor = try open(path, listens: false)
    } catch let error as HoldfastError where error.code != .permissionDenied {
      return nil
    }
    guard let user = peer(of: descriptor), user == 0 || user == geteuid() || owners.contains(user) else {
      close(descriptor)
      throw HoldfastError(.refused, "\(path) belongs to another user's process, which is not asked")
    }
    return descriptor
  }

  /// Whether the client at the other end is this user's or root's.
  static func accepts(_ descriptor: Int32) -> Bool { peer(of: descriptor).map { $0 == 0 || $0 == geteuid() } ?? false }

  private static func peer(of descriptor: Int32) -> uid_t? {
    var user: uid_t = 0
    return cshims_peer_user(descriptor, &user) == 0 ? user : nil
  }

  /// An address holds 107 bytes, but paths may be longer, so the folder is opened and named by its
  /// descriptor.
  private static func open(_ path: String, listens: Bool) throws -> Int32 {
    let cut = path.utf8.lastIndex(of: UInt8(ascii: "/")) ?? path.startIndex
    let folder = Glibc.open(String(path[..<cut]), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { throw HoldfastError(errno: errno, "open", path) }
    defer { close(folder) }
    // Where /proc is not mounted, a short path works all the same.
    let short = access("/proc/self/fd/\(folder)", F_OK) == 0 ? "/proc/self/fd/\(folder)\(path[cut...])" : path
    var descriptor = cshims_local_socket(short, listens ? 1 : 0)
    // The queue of an agent with many clients may be full for a moment.
    var patience = 100
    while descriptor < 0, errno == EAGAIN, patience > 0 {
      usleep(20_000)
      patience -= 1
      descriptor = cshims_local_socket(short, listens ? 1 : 0)
    }
    guard descriptor >= 0 else { throw HoldfastError(errno: errno, listens ? "listen at" : "connect to", path) }
    return descriptor
  }

  private static func removeLeftovers(in folder: String) {
    for path in paths(in: folder) {
      var status = stat()
      guard lstat(path, &status) == 0, status.st_mtim.tv_sec < time(nil) - leftoverAge else { continue }
      if let descriptor = try? open(path, listens: false) {
        close(descriptor)
      } else if errno == ECONNREFUSED {
        unlink(path)
      }
    }
  }

  /// The sockets in a folder.
  static func paths(in folder: String) -> [String] {
    ((try? SystemFileOperations().list(folder)) ?? []).filter { $0.hasSuffix(".sock") }.sorted().map {
      "\(folder)/\($0)"
    }
  }
}
