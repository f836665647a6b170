/// A page of help as the parser of arguments makes it, with a usage that fits a line, and for `holdfast` itself without the word
/// "subcommands" and with what is good to know in the end.
struct HelpText {
  let text: String

  init(_ page: String) {
    var lines = page.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    guard let start = lines.firstIndex(where: { $0.hasPrefix("USAGE: ") }) else {
      text = page
      return
    }
    let end = lines[start...].firstIndex(of: "") ?? lines.endIndex
    let usage = lines[start..<end].map(\.leadingBlanksRemoved).joined(separator: " ")
    // Only what the parser made up of all options; a usage that was written by hand stays.
    if usage.contains("[--") && !usage.contains("[<options>]") {
      lines.replaceSubrange(start..<end, with: [Self.shortened(usage)])
    } else if usage.hasSuffix(" <options>") {
      // So it shortens many options, none of which needs to be given.
      lines.replaceSubrange(start..<end, with: ["\(usage.dropLast("<options>".count))[<options>]"])
    }
    let isRoot = usage == "USAGE: holdfast <command> [<options>]"
    if isRoot {
      lines = lines.map { $0.hasSuffix(" SUBCOMMANDS:") ? $0.replacing(" SUBCOMMANDS:", with: ":") : $0 }
      while lines.last == "" { lines.removeLast() }
      lines += ["", HoldfastCommand.footnotes]
    }
    text = lines.joined(separator: "\n")
  }

  /// `USAGE: holdfast show [<id>] [<options>]`: the options are listed below.
  private static func shortened(_ usage: String) -> String {
    var words: [Substring] = []
    var inOption = false
    for word in usage.split(separator: " ") {
      if word.hasPrefix("[-") { inOption = true }
      // An option that must be given, and its value, are options all the same.
      if !inOption, !word.hasPrefix("-") { words.append(word) }
      if word.hasSuffix("]") { inOption = false }
    }
    return words.joined(separator: " ") + " [<options>]"
  }
}

extension StringProtocol {
  fileprivate var leadingBlanksRemoved: String { String(drop { $0 == " " }) }
}
