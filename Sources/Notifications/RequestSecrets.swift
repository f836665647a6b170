import Names
import Transfer

/// The secrets of a request: its path and query, its token, the user and password of its URL, and what
/// its body has of this kind.
///
/// A receiver may repeat them in its answer, such as `Cannot POST /hooks/SECRET`. The answer is a part
/// of errors, which appear in the log, in `status` and in messages of other channels.
struct RequestSecrets {
  /// Shorter parts of a path or query are words such as `hooks`.
  private static let leastPart = 8
  /// A shorter user would replace parts of words.
  private static let leastUser = 4

  private let texts: Set<[UInt8]>

  /// - Parameter secret: in the body.
  init(of request: HTTPRequest, and secret: String? = nil) {
    let sent = Array(request.url.utf8).prefix { $0 != UInt8(ascii: "#") }
    let start = sent.firstRange(of: Array("://".utf8))?.upperBound ?? sent.startIndex
    let authority = sent[start...].prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") }
    let place = sent[authority.endIndex...]
    let own = [Array((secret ?? "").utf8)[...]].filter { $0.count >= Self.leastUser }
    let found = Self.login(authority) + Self.tokens(request.headers) + Self.parts(place) + own
    texts = Set(found.flatMap { [Array($0), Self.decoded($0)] }.filter { !$0.isEmpty })
  }

  /// The text with `…` in the place of each secret, in capitals or not. A long one may be cut off.
  func removed(from text: [UInt8]) -> [UInt8] {
    var isSecret = Array(repeating: false, count: text.count)
    for secret in texts {
      for start in text.indices {
        let count = Self.commonCount(text[start...], secret)
        guard count == secret.count || count >= Self.leastPart else { continue }
        for index in start..<(start + count) { isSecret[index] = true }
      }
    }
    var result: [UInt8] = []
    for (index, byte) in text.enumerated() {
      if !isSecret[index] {
        result.append(byte)
      } else if index == 0 || !isSecret[index - 1] {
        result += Array("…".utf8)
      }
    }
    return result
  }

  /// How many bytes are equal from the start on, apart from the case of ASCII letters.
  private static func commonCount(_ text: ArraySlice<UInt8>, _ secret: [UInt8]) -> Int {
    var count = 0
    for (byte, known) in zip(text, secret) {
      guard small(byte) == small(known) else { break }
      count += 1
    }
    return count
  }

  private static func small(_ byte: UInt8) -> UInt8 {
    UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte ? byte | 0x20 : byte
  }

  /// The user and the password, also in the form of the header `Authorization`.
  private static func login(_ authority: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
    guard let end = authority.lastIndex(of: UInt8(ascii: "@")) else { return [] }
    let login = authority[..<end]
    let user = login.prefix { $0 != UInt8(ascii: ":") }
    let password = login.dropFirst(user.count + 1)
    let header = (decoded(user) + [UInt8(ascii: ":")] + decoded(password)).base64Text
    return [password, Array(header.utf8)[...]] + (user.count >= leastUser ? [user] : [])
  }

  private static func tokens(_ headers: [(name: String, value: String)]) -> [ArraySlice<UInt8>] {
    headers.filter { $0.name == "Authorization" }.map { header in
      Array(header.value.utf8).drop { $0 != UInt8(ascii: " ") }.dropFirst()
    }
  }

  /// - Parameter place: the path and the query.
  private static func parts(_ place: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
    let path = place.prefix { $0 != UInt8(ascii: "?") }
    let query = place.dropFirst(path.count + 1)
    let segments = path.split(separator: UInt8(ascii: "/"))
    let pairs = query.split(separator: UInt8(ascii: "&"))
    let values = pairs.map { pair in pair.drop { $0 != UInt8(ascii: "=") }.dropFirst() }
    // The path `/` is in every text.
    return [path, query].filter { $0.count > 1 } + (segments + pairs + values).filter { $0.count >= leastPart }
  }

  /// Without percent encoding.
  private static func decoded(_ text: ArraySlice<UInt8>) -> [UInt8] {
    var result: [UInt8] = []
    var rest = text
    while let byte = rest.popFirst() {
      let digits = String(decoding: rest.prefix(2), as: UTF8.self)
      if byte == UInt8(ascii: "%"), digits.utf8.count == 2, let value = UInt8(digits, radix: 16) {
        result.append(value)
        rest = rest.dropFirst(2)
      } else {
        result.append(byte)
      }
    }
    return result
  }
}
