import BackupEngine
import Glibc

/// The appearance of lines on a terminal: marks in colour, and long lines broken between words with
/// a hanging indent. In a file or a pipe every line is unchanged.
struct TerminalStyle: Sendable {
  /// Columns; nil if lines are not broken.
  var width: Int?
  var hasColours: Bool

  static let output = TerminalStyle(STDOUT_FILENO)
  /// Never broken, because hints are pasted, and each log line is one line.
  static let errors = TerminalStyle(width: nil, hasColours: TerminalStyle(STDERR_FILENO).hasColours)

  init(width: Int?, hasColours: Bool) {
    (self.width, self.hasColours) = (width, hasColours)
  }

  private init(_ descriptor: Int32) {
    let environment = ProcessEnvironment.current
    let terminal = environment[.terminal]
    guard isatty(descriptor) != 0, terminal != nil, terminal != "dumb" else {
      self.init(width: nil, hasColours: false)
      return
    }
    var size = winsize()
    let isKnown = ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col >= 40
    self.init(width: isKnown ? Int(size.ws_col) : nil, hasColours: environment["NO_COLOR"] == nil)
  }

  func rendered(_ lines: [String]) -> [String] {
    let broken = width.map { width in lines.flatMap { Self.broken($0, width) } } ?? lines
    return hasColours ? broken.map(Self.coloured) : broken
  }
}

extension TerminalStyle {
  /// The line in pieces of at most `width` columns. A longer word, such as a path, is not broken.
  static func broken(_ line: String, _ width: Int) -> [String] {
    guard line.count > width else { return [line] }
    let hang = hang(line, width)
    var pieces: [String] = []
    var current = Array(line)
    // After the first piece, the line must not break inside the hanging indent.
    var first = line.prefix { $0 == " " }.count
    while current.count > width {
      let head = current[..<(width + 1)]
      let inside = head.indices.last { current[$0] == " " && $0 > first && current[$0 - 1] != " " }
      guard let space = inside ?? current.indices.first(where: { $0 > width && current[$0] == " " }) else { break }
      pieces.append(String(current[..<space]))
      let rest = current[space...].drop { $0 == " " }
      if rest.isEmpty { return pieces }
      current = Array(hang) + rest
      first = hang.count
    }
    return pieces + [String(current)]
  }

  /// The indent of the second and later pieces: the column of the text after marks, numbers and the
  /// name of a field.
  private static func hang(_ line: String, _ width: Int) -> String {
    let branch = line.prefix { " │├└─⋮".contains($0) }
    var hang = branch.map { $0 == "├" || $0 == "│" ? "│" : " " }.joined()
    let rest = line.dropFirst(branch.count)
    let mark = rest.prefix { !$0.isWhitespace }
    if let gap = rest.firstRange(of: "  "), !branch.contains("─") {
      let name = rest[..<gap.lowerBound]
      let value = rest[gap.lowerBound...].prefix { $0 == " " }.count
      if branch.count + name.count + value <= min(36, width / 2) {
        return hang + String(repeating: " ", count: name.count + value)
      }
    }
    if ["✓", "✗", "!", "-", "→", "•"].contains(mark) || mark.last == "." && mark.dropLast().allSatisfy(\.isNumber) {
      hang += String(repeating: " ", count: mark.count + 1)
    } else if branch.allSatisfy({ $0 == " " }) {
      hang += "  "
    }
    return hang
  }
}

extension TerminalStyle {
  private enum Colour: String {
    case green = "32"
    case red = "31"
    case yellow = "33"

    func paint(_ text: some StringProtocol) -> String { "\u{1b}[\(rawValue)m\(text)\u{1b}[0m" }
  }

  static func coloured(_ line: String) -> String {
    if line.hasPrefix("holdfast: error:") { return "holdfast: " + Colour.red.paint("error:") + line.dropFirst(16) }
    if line.hasPrefix("holdfast: warning:") {
      return "holdfast: " + Colour.yellow.paint("warning:") + line.dropFirst(18)
    }
    var result = ""
    var isMarkPlace = true
    for (index, character) in line.enumerated() {
      let isLone = isMarkPlace && line.dropFirst(index + 1).first == " "
      switch character {
      case "✓" where isLone: result += Colour.green.paint("✓")
      case "✗" where isLone: result += Colour.red.paint("✗")
      case "!" where isLone: result += Colour.yellow.paint("!")
      default: result.append(character)
      }
      // At the beginning, or after two spaces.
      isMarkPlace = " │├└─".contains(character) && (isMarkPlace || result.hasSuffix("  "))
    }
    return result
  }
}
