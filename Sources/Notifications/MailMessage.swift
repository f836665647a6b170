import BackupPolicy
import Names
import Wording

/// A message as Internet mail (RFC 5322) with text and HTML.
struct MailMessage {
  let message: ChannelMessage
  let sender: String
  let recipients: [String]

  /// Lines end with CR LF.
  var bytes: [UInt8] {
    let boundary = "holdfast-\(message.id)"
    let lines =
      headers(boundary: boundary) + [""]
      + part("text/plain", message.text.plain, boundary) + part("text/html", MailPage(message).html, boundary)
      + ["--\(boundary)--", ""]
    return Array(lines.joined(separator: "\r\n").utf8)
  }

  private func headers(boundary: String) -> [String] {
    var lines = [
      "Date: \(Self.date(message.sent))",
      "From: \(Self.phrase("Holdfast on \(message.host)")) <\(sender)>",
      "To: \(recipients.map { "<\($0)>" }.joined(separator: ",\r\n "))",
      "Subject: \(Self.encoded(message.subject))",
      "Message-ID: \(messageID(message.id))",
      // Neither holidays nor robots answer it (RFC 3834).
      "Auto-Submitted: auto-generated",
      "X-Auto-Response-Suppress: All",
      "MIME-Version: 1.0",
      "Content-Type: multipart/alternative; boundary=\"\(boundary)\"",
    ]
    if let thread = message.notice.thread {
      lines += ["In-Reply-To: \(messageID(thread))", "References: \(messageID(thread))"]
    }
    return lines
  }

  private func messageID(_ id: String) -> String {
    "<\(id)@\(sender.split(separator: "@").last.map(String.init) ?? "localhost")>"
  }

  private func part(_ type: String, _ text: String, _ boundary: String) -> [String] {
    [
      "--\(boundary)", "Content-Type: \(type); charset=utf-8", "Content-Transfer-Encoding: quoted-printable", "",
      Self.quotedPrintable(text), "",
    ]
  }

  // MARK: Encodings

  /// A text of a header: as it is if it is plain ASCII, else as encoded words (RFC 2047) of at most 75
  /// characters. No character ends the header.
  static func encoded(_ text: String) -> String {
    let text = text.printable
    guard text.utf8.contains(where: { $0 < 0x20 || $0 > 0x7e }) || text.contains("=?") || text.utf8.count > 900 else {
      return text
    }
    var words: [[UInt8]] = [[]]
    // A word may not end inside a character.
    for character in text {
      if words[words.count - 1].count + character.utf8.count > 45 { words.append([]) }
      words[words.count - 1] += character.utf8
    }
    return words.map { "=?utf-8?B?\($0.base64Text)?=" }.joined(separator: "\r\n ")
  }

  /// A text before an address. Dots and some other characters need quotation marks there.
  static func phrase(_ text: String) -> String {
    let encoded = Self.encoded(text)
    guard !encoded.hasPrefix("=?") else { return encoded }
    return "\"\(encoded.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\""
  }

  /// Lines of at most 76 characters (RFC 2045, section 6.7).
  static func quotedPrintable(_ text: String) -> String {
    text.lines.map(quotedLine).joined(separator: "\r\n")
  }

  private static func quotedLine(_ line: String) -> String {
    let (digits, bytes) = (Array("0123456789ABCDEF".utf8), Array(line.utf8))
    var (result, width): ([UInt8], Int) = ([], 0)
    for (index, byte) in bytes.enumerated() {
      let isLast = index == bytes.count - 1
      let isSpace = byte == 0x20 || byte == 0x09
      // A dot alone on a line is the end of a message for SMTP; some servers do not undo the doubling.
      let isPlain = (0x21...0x7e).contains(byte) && byte != 0x3d && !(byte == 0x2e && width == 0)
      let piece = isPlain || isSpace && !isLast ? [byte] : [0x3d, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      if width + piece.count > 75 {
        result += Array("=\r\n".utf8)
        width = 0
      }
      result += piece
      width += piece.count
    }
    return String(decoding: result, as: UTF8.self)
  }

  /// `Sun, 29 Nov 2026 11:09:43 +0000`
  static func date(_ time: Timestamp) -> String {
    let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let civil = time.civil
    let day = Int(((time.milliseconds / 86_400_000) % 7 + 7) % 7)
    let clock = [civil.hour, civil.minute, civil.second].map { $0 < 10 ? "0\($0)" : "\($0)" }.joined(separator: ":")
    return "\(days[day]), \(civil.day) \(months[civil.month - 1]) \(civil.year) \(clock) +0000"
  }
}

/// A message as a page of HTML for readers of mail: no scripts, no images, nothing from elsewhere.
struct MailPage {
  let message: ChannelMessage

  init(_ message: ChannelMessage) { self.message = message }

  var html: String {
    let sections = message.text.sections.map(section).joined()
    return """
      <!DOCTYPE html>
      <html lang="en"><head><meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark"><title>\(Self.escaped(message.subject))</title>
      <style>
      :root { color-scheme: light dark; }
      body { margin: 0; padding: 24px 16px; background: #f6f7f8; color: #1c2024;
        font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
      main { max-width: 640px; margin: 0 auto; padding: 24px; background: #ffffff; border-radius: 8px;
        border-top: 4px solid \(Self.color(tone)); }
      h1 { margin: 0 0 16px; font-size: 20px; line-height: 1.35; }
      h2 { margin: 24px 0 4px; font-size: 13px; color: #5c6670; }
      .entry { margin: 8px 0; padding-left: 12px; border-left: 3px solid #c5ccd3; overflow-wrap: anywhere; }
      .detail { color: #5c6670; font-size: 14px; }
      .hint { font-size: 14px; }
      footer { max-width: 640px; margin: 16px auto 0; color: #5c6670; font-size: 13px; }
      @media (prefers-color-scheme: dark) {
        body { background: #14171a; color: #e6e9ec; } main { background: #1e2328; }
        h2, .detail, footer { color: #9aa5b0; }
      }
      </style></head>
      <body><main><h1>\(Self.escaped(message.text.summary))</h1>
      \(sections)</main>
      <footer>\(Self.escaped(message.text.footer))</footer></body></html>

      """
  }

  /// The worst of all entries.
  private var tone: StateSentence.Tone {
    message.text.sections.flatMap(\.entries).compactMap(\.tone).max() ?? .good
  }

  private func section(_ section: NoticeText.Section) -> String {
    "<h2>\(Self.escaped(section.title))</h2>\n" + section.entries.map(entry).joined()
  }

  private func entry(_ entry: NoticeText.Entry) -> String {
    let style = entry.tone.map { " style=\"border-left-color: \(Self.color($0))\"" } ?? ""
    let mark = entry.tone.map { "\($0.mark) " } ?? ""
    let details = entry.details.map { "<div class=\"detail\">\(Self.escaped($0))</div>" }.joined()
    let hint = entry.hint.map { "<div class=\"hint\">→ \(Self.escaped($0))</div>" } ?? ""
    return "<div class=\"entry\"\(style)>\(Self.escaped(mark + entry.text))\(details)\(hint)</div>\n"
  }

  /// Readable on white and on black.
  private static func color(_ tone: StateSentence.Tone) -> String {
    switch tone {
    case .good: "#2f9e5f"
    case .busy: "#3b82c4"
    case .attention: "#c98a1b"
    case .bad: "#d6453d"
    }
  }

  static func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
      .replacing("\"", with: "&quot;")
  }
}
