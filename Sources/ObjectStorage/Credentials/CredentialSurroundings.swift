import FoundationEssentials
import Glibc
import Names

/// What providers read of the machine, so that tests can give something else.
package struct CredentialSurroundings: Sendable {
  private let lookUp: @Sendable (String) -> String?
  /// The home folder of this user.
  package var home: String
  /// Whether no request waits for credentials any longer, so that a program that fetches them is ended.
  package var isStopped: @Sendable () -> Bool = { false }

  package init(environment: [String: String], home: String) {
    self.init(home: home) { environment[$0] }
  }

  /// - Parameter variable: the value of an environment variable; nil if it is not set.
  package init(home: String, variable: @escaping @Sendable (String) -> String?) {
    (lookUp, self.home) = (variable, home)
  }

  /// A variable; nil if it is not set or empty.
  func variable(_ name: String) -> String? {
    lookUp(name).flatMap { $0.isEmpty ? nil : $0 }
  }

  /// The region that the environment names.
  package var region: String? { variable("AWS_REGION") ?? variable("AWS_DEFAULT_REGION") }

  /// The PEM file of trusted authorities that the environment names, as the tools of AWS read it.
  package var certificateAuthorities: String? { variable("AWS_CA_BUNDLE").map(expanded) }

  /// `~/` is the home folder.
  func expanded(_ path: String) -> String { path.after("~/").map { "\(home)/\($0)" } ?? path }

  /// The content of a small file; nil if there is none.
  func read(_ path: String) throws(StoreError) -> [UInt8]? {
    // A pipe without a writer would be waited for, and nothing could end this thread.
    let file = open(path.raw, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    if file < 0 {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw StoreError(errno: errno, "cannot read \(path.printable)")
    }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw StoreError(.noCredentials, "\(path.printable) is not a regular file")
    }
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16384)
    while content.count <= 1 << 20 {
      let count = Glibc.read(file, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw StoreError(errno: errno, "cannot read \(path.printable)") }
      if count == 0 { return content }
      content += buffer.prefix(count)
    }
    throw StoreError(.tooLarge, "\(path.printable) is too large to contain credentials")
  }

  /// The content of a file that a setting names, without white space at its ends: a token.
  func readToken(_ path: String) throws(StoreError) -> Secret {
    guard let content = try read(expanded(path)) else {
      throw StoreError(.noCredentials, "there is no file \(path.printable)")
    }
    let words = String(decoding: content, as: UTF8.self).split(whereSeparator: \.isWhitespace)
    guard words.count == 1 else {
      throw StoreError(.noCredentials, "\(path.printable) does not contain one token")
    }
    return Secret(String(words[0]))
  }
}

/// The JSON of `credential_process`, containers and instances.
struct CredentialsAnswer: Decodable {
  var Version: Int?
  var AccessKeyId: String?
  var SecretAccessKey: String?
  var Token: String?
  var SessionToken: String?
  var Expiration: String?

  /// - Parameter source: the name of the provider.
  static func credentials(_ json: [UInt8], source: String) throws(StoreError) -> StoreCredentials {
    // The decoder's own message quotes the text, which contains secrets.
    guard let answer = try? JSONDecoder().decode(CredentialsAnswer.self, from: Data(json)),
      let keyID = answer.AccessKeyId, let secret = answer.SecretAccessKey, !keyID.isEmpty, !secret.isEmpty
    else { throw StoreError(.noCredentials, "the answer of \(source) contains no credentials") }
    var expires: Int64?
    if let text = answer.Expiration {
      expires = StoreTime.parse(iso8601: text)
      guard expires != nil else {
        throw StoreError(.noCredentials, "the answer of \(source) has an expiration that is not a time")
      }
    }
    return StoreCredentials(
      keyID: keyID, secret: Secret(secret), sessionToken: (answer.SessionToken ?? answer.Token).map { Secret($0) },
      expires: expires, source: source)
  }
}
