extension String {
  /// A field of a line: control characters, line ends and formatting characters are spelt out
  /// (`\n`, `\t`, `\u{1b}`), so that the field cannot move a terminal's cursor, change the
  /// direction of writing, or forge a line of a log.
  ///
  /// Applying it twice has the same result.
  package var printable: String { printable(tabs: false) }

  /// The same for a whole line, which may contain tabs. Every text for people passes through this
  /// when it leaves the program.
  package var printableLine: String { printable(tabs: true) }

  /// The lines of a text that may have several, without their ends.
  package var lines: [String] {
    utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { line in
      String(decoding: line.last == UInt8(ascii: "\r") ? line.dropLast() : line, as: UTF8.self)
    }
  }

  private func printable(tabs keepsTabs: Bool) -> String {
    guard unicodeScalars.contains(where: { $0.isUnprintable || $0.pathByte != nil }) else { return self }
    var result = String.UnicodeScalarView()
    for scalar in unicodeScalars {
      switch scalar {
      case "\t" where keepsTabs: result.append(scalar)
      case "\n": result.append(contentsOf: "\\n".unicodeScalars)
      case "\t": result.append(contentsOf: "\\t".unicodeScalars)
      case _ where scalar.pathByte != nil:
        result.append(contentsOf: "\\x\(String(scalar.pathByte ?? 0, radix: 16))".unicodeScalars)
      case _ where scalar.isUnprintable:
        result.append(contentsOf: "\\u{\(String(scalar.value, radix: 16))}".unicodeScalars)
      default: result.append(scalar)
      }
    }
    return String(result)
  }
}

extension String {
  /// Whether both are the same bytes: for paths and names of files. `==` treats two spellings of
  /// one character as equal, and so would confuse two files.
  package func isExactly(_ other: String) -> Bool { utf8.elementsEqual(other.utf8) }
}

extension Unicode.Scalar {
  /// Whether it acts on the terminal instead of being shown: C0, DEL, C1, separators of lines and
  /// paragraphs, and formats.
  package var isUnprintable: Bool {
    if value < 0x7f { return value < 0x20 }
    switch properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator: return true
    // Of the formats, the changes of writing direction can deceive; the joiners are parts of
    // letters and emoji.
    case .format: return value != 0x200C && value != 0x200D
    default: return false
    }
  }
}
