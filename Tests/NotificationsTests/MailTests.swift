import BackupEngine
import BackupPolicy
import TestSupport
import Testing
import Transfer

@testable import Notifications

@Suite("Messages by mail, to a real server", .ownThread)
struct MailTests {
  private let delivery = Delivery(Progress())

  @Test("A failure, its recovery and a report arrive by STARTTLS with a user, as text and as HTML")
  func story() throws {
    let receiver = try MailReceiver("--tls", "starttls", "--user", "holdfast", "se cret")
    let channel = try receiver.channel(.startTLS, user: "holdfast", password: "se cret", to: ["a@a.test", "b@a.test"])
    let failure = try Messages.failure()
    #expect(try delivery.deliverOnce(failure, through: channel) == "250 Message accepted as 42")
    _ = try delivery.deliverOnce(Messages.recovery(of: failure.id), through: channel)
    _ = try delivery.deliverOnce(Messages.report(), through: channel)
    let mails = try receiver.messages
    try #require(mails.count == 3)
    for mail in mails {
      #expect(mail.encrypted && mail.user == "holdfast" && mail.to == ["a@a.test", "b@a.test"])
      #expect(mail.defects == [] && mail.bareLineEnds == 0 && mail.longestLine <= 998)
      #expect(mail.encodings == ["quoted-printable", "quoted-printable"])
      #expect(mail.header("Auto-Submitted") == "auto-generated")
      #expect(mail.html.hasPrefix("<!DOCTYPE html>") && mail.html.contains("prefers-color-scheme: dark"))
    }
    #expect(mails[0].header("Subject") == "[holdfast web-1] shop: the disk of /var/backups is full")
    #expect(mails[0].header("Date") == "Sun, 29 Nov 2026 14:04:02 +0000" && mails[0].header("In-Reply-To") == nil)
    #expect(
      mails[0].text.contains("✗ shop: the disk of /var/backups is full\n    since 14:03:22\n  → free some space\n"))
    #expect(mails[0].text.contains("✓ blog: Everything is saved. Newest backup 14:00:01, 4 min ago.\n"))
    #expect(mails[1].header("Subject") == "[holdfast web-1] over: shop: the disk of /var/backups is full")
    #expect(mails[1].header("In-Reply-To") == mails[0].header("Message-ID"))
    #expect(mails[1].header("Message-ID") != mails[0].header("Message-ID"))
    #expect(mails[2].header("Subject") == "[holdfast web-1] report: 2 of 2 databases need nothing")
    #expect(mails[2].text.contains("    Stored: 12 backups, 3 MiB\n"))
  }

  @Test("Another attempt has the same Message-ID")
  func stableID() throws {
    let receiver = try MailReceiver("--tls", "none")
    let failure = try Messages.failure()
    for _ in 0..<2 { _ = try delivery.deliverOnce(failure, through: receiver.channel(.none)) }
    #expect(Set(try receiver.messages.map { $0.header("Message-ID") }).count == 1)
  }

  @Test("Names with line ends and other scripts neither add a header nor get lost")
  func injection() throws {
    let receiver = try MailReceiver("--tls", "none")
    let name = "sh\r\nBcc: evil@a.test\r\n\r\n.\r\nöp🙂" + String(repeating: "ä", count: 60)
    let message = try Messages.failure("disk <b>full</b> =?x?=\u{202e}\n.\n", of: name, host: "w\r\nX: y")
    _ = try delivery.deliverOnce(message, through: receiver.channel(.none))
    let mail = try #require(try receiver.messages.first)
    #expect(mail.header("Bcc") == nil && mail.header("X") == nil && mail.to == ["ops@a.test"] && mail.defects == [])
    #expect(
      mail.header("Subject")?.hasPrefix("[holdfast w\\r\\nX: y] sh\\u{d}\\nBcc") == true
        || mail.header("Subject")?.contains("öp🙂") == true)
    #expect(mail.text.contains("öp🙂ä") && mail.html.contains("disk &lt;b&gt;full&lt;/b&gt;"))
  }

  @Test("Encryption is required: a server without STARTTLS, and one with a certificate of a stranger, get nothing")
  func encryption() throws {
    let plain = try MailReceiver("--tls", "none")
    #expect(throws: HoldfastError.self) {
      try delivery.deliverOnce(Messages.failure(), through: plain.channel(.startTLS))
    }
    let stranger = try MailReceiver("--tls", "starttls")
    #expect(throws: HoldfastError.self) {
      try delivery.deliverOnce(Messages.failure(), through: stranger.channel(.startTLS, trusts: false))
    }
    #expect(try plain.messages.isEmpty && stranger.messages.isEmpty)
    let implicit = try MailReceiver("--tls", "implicit")
    _ = try delivery.deliverOnce(Messages.failure(), through: implicit.channel(.implicit))
    #expect(try implicit.messages.first?.encrypted == true)
  }

  @Test("A refusal names the server's reply and no secret")
  func refusals() throws {
    let receiver = try MailReceiver("--tls", "starttls", "--user", "holdfast", "right")
    let wrong = try #require(throws: HoldfastError.self) {
      try delivery.deliverOnce(
        Messages.failure(), through: receiver.channel(.startTLS, user: "holdfast", password: "se-cret"))
    }
    #expect(wrong.message.contains("does not accept the user and the password"), "\(wrong)")
    #expect(!wrong.message.contains("se-cret"))
    let open = try MailReceiver("--tls", "none", "--refuse", "nobody@a.test")
    let unknown = try #require(throws: HoldfastError.self) {
      try delivery.deliverOnce(Messages.failure(), through: open.channel(.none, to: ["nobody@a.test"]))
    }
    #expect(unknown.message.hasSuffix("refuses the message: 550 5.1.1 no such user"), "\(unknown)")
  }

  @Test("A server that is gone, and one that does not answer, are errors in time")
  func silence() throws {
    let gone = try MailReceiver("--tls", "none")
    let channel = try gone.channel(.none)
    gone.stop()
    let refused = try #require(throws: HoldfastError.self) {
      try delivery.deliverOnce(Messages.failure(), through: channel)
    }
    #expect(refused.message.contains("cannot connect to 127.0.0.1:"), "\(refused)")
    let slow = try MailReceiver("--tls", "none", "--slow", "60")
    guard case .mail(var mail) = try slow.channel(.none).kind else { return }
    mail.server.timeout = 500
    let late = try #require(throws: HoldfastError.self) {
      try delivery.deliverOnce(Messages.failure(), through: Channel(name: "slow", kind: .mail(mail)))
    }
    #expect(late.message.contains("did not complete its answer within 500 ms"), "\(late)")
  }

  @Test("Quoted-printable has lines of at most 76 characters, and Python reads the same text")
  func quotedPrintable() throws {
    let text = ".\n..x\n=\n" + String(repeating: "äöü ", count: 40) + " \n\t\nend "
    let encoded = MailMessage.quotedPrintable(text)
    #expect(encoded.split(separator: "\r\n").allSatisfy { $0.utf8.count <= 76 })
    let result = try Python.run(
      script: "import quopri, sys; sys.stdout.buffer.write(quopri.decodestring(sys.stdin.buffer.read()))",
      stdin: Array(encoded.utf8))
    #expect(result.stdout == text.replacing("\n", with: "\r\n"))
  }
}
