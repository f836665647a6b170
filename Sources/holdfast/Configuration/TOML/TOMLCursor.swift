/// A place in the text of a document.
struct TOMLCursor {
  private let scalars: [Unicode.Scalar]
  private(set) var index = 0
  private(set) var position = FilePosition(line: 1, column: 1)

  /// A byte order mark at its start is passed over and takes no column.
  init(_ text: String) {
    let all = Array(text.unicodeScalars)
    scalars = all.first == "\u{FEFF}" ? Array(all.dropFirst()) : all
  }

  var current: Unicode.Scalar? { peek(0) }
  var isAtEnd: Bool { index >= scalars.count }
  /// At LF, CRLF or the end.
  var isAtLineEnd: Bool { isAtEnd || current == "\n" || current == "\r" && peek(1) == "\n" }

  func peek(_ distance: Int) -> Unicode.Scalar? {
    index + distance < scalars.count ? scalars[index + distance] : nil
  }

  func looksAt(_ text: String) -> Bool { scalars[index...].starts(with: text.unicodeScalars) }

  mutating func advance(_ count: Int = 1) {
    for _ in 0..<count where index < scalars.count {
      if scalars[index] == "\n" {
        position = FilePosition(line: position.line + 1, column: 1)
      } else {
        position.column += 1
      }
      index += 1
    }
  }

  /// What is passed over.
  @discardableResult
  mutating func take(while isTaken: (Unicode.Scalar) -> Bool) -> String {
    var text = String.UnicodeScalarView()
    while let scalar = current, isTaken(scalar) {
      text.append(scalar)
      advance()
    }
    return String(text)
  }

  mutating func skipBlanks() { take { $0 == " " || $0 == "\t" } }

  /// The rest of the line, for what follows a mistake.
  mutating func skipLine() {
    while !isAtEnd, current != "\n" { advance() }
  }
}
