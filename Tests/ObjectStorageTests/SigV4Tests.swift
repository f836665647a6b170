import Names
import TestSupport
import Testing

@testable import ObjectStorage

@Suite(.ownThread) struct SigV4Tests {
  /// A random request, and as JSON for the oracle.
  private struct Case {
    var signer: SigV4
    var request: SigV4.Request
    var time: Int64

    init(_ generator: inout SeededGenerator) {
      let token = Bool.random(using: &generator) ? Secret(Self.word(&generator, Self.plain, 1...60)) : nil
      signer = SigV4(
        keyID: Self.word(&generator, Self.plain, 1...20),
        secret: Secret(Self.word(&generator, Self.plain + "+/=", 1...40)),
        sessionToken: token, region: Self.word(&generator, "abc-123", 1...12))
      let path = (0..<Int.random(in: 0...4, using: &generator)).map { _ in Self.word(&generator, Self.odd, 0...12) }
      let query = (0..<Int.random(in: 0...5, using: &generator)).map { _ in
        // Few names, so that some are repeated.
        (name: Self.word(&generator, Self.odd, 1...2), value: Self.word(&generator, Self.odd, 0...8))
      }
      var headers: [(name: String, value: String)] = []
      for name in ["range", "Content-MD5", "If-None-Match", "X-Amz-Storage-Class", "x-amz-meta-Odd"]
      where Bool.random(using: &generator) {
        headers.append((name, "v" + Self.word(&generator, "abc  =*\"+%;,", 0...20)))
      }
      request = SigV4.Request(
        method: ["GET", "PUT", "HEAD", "POST", "DELETE"].randomElement(using: &generator)!,
        host: "host-\(Int.random(in: 0...9, using: &generator)).example:9000",
        path: "/" + PercentEncoding.encode(path.joined(separator: "/").utf8, keepsSlash: true), query: query,
        headers: headers, contentSHA256: Digest.sha256(generator.bytes(4)).hexText)
      time = Int64.random(in: 0..<4_102_444_800, using: &generator)
    }

    static let plain = "ABCDEFGHabcdefgh0123456789"
    static let odd = "aB9 +%&=?/#~-._*'()!$,;:@[]\"<>\\^`{|}\t\u{7f}äß€日🙂\u{301}"

    static func word(_ generator: inout SeededGenerator, _ letters: String, _ length: ClosedRange<Int>) -> String {
      let scalars = Array(letters.unicodeScalars)
      var word = String.UnicodeScalarView()
      for _ in 0..<Int.random(in: length, using: &generator) { word.append(scalars.randomElement(using: &generator)!) }
      return String(word)
    }

    var json: String {
      func quoted(_ text: String) -> String {
        let escaped = text.unicodeScalars.map { scalar in
          scalar == "\"" || scalar == "\\"
            ? "\\\(scalar)" : scalar.value < 32 ? "\\u00" + [UInt8(scalar.value)].hexText : String(scalar)
        }
        return "\"" + escaped.joined() + "\""
      }
      func pairs(_ list: [(name: String, value: String)]) -> String {
        "[" + list.map { "[\(quoted($0.name)),\(quoted($0.value))]" }.joined(separator: ",") + "]"
      }
      let token = signer.sessionToken.map { ",\"token\":\(quoted($0.exposed))" } ?? ""
      return
        "{\"time\":\(time),\"method\":\"\(request.method)\",\"host\":\"\(request.host)\",\"path\":\(quoted(request.path)),"
        + "\"query\":\(pairs(request.query)),\"headers\":\(pairs(request.headers)),\"sha256\":\"\(request.contentSHA256)\","
        + "\"key\":\(quoted(signer.keyID)),\"secret\":\(quoted(signer.secret.exposed)),\"region\":\(quoted(signer.region))\(token)}"
    }
  }

  @Test func tenThousandSignaturesAreBotocores() throws {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SeededGenerator(seed: seed)
    let cases = (0..<10_000).map { _ in Case(&generator) }
    let input = cases.map(\.json).joined(separator: "\n") + "\n"
    let oracle = try Python.run(file: "\(projectFolder)/Tests/Fixtures/sign_requests.py", stdin: Array(input.utf8))
    let expected = oracle.stdout.split(separator: "\n").map(String.init)
    try #require(expected.count == cases.count, "\(oracle.stderr.suffix(2000))")
    for (signed, header) in zip(cases, expected) {
      let own = signed.signer.sign(signed.request, time: signed.time * 1000).last
      try #require(own?.name == "Authorization" && own?.value == header, "seed \(seed): \(signed.json)")
    }
  }

  /// The example of AWS's documentation: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
  @Test func exampleOfTheDocumentation() {
    let signer = SigV4(
      keyID: "AKIAIOSFODNN7EXAMPLE", secret: Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), region: "us-east-1")
    let request = SigV4.Request(
      method: "GET", host: "examplebucket.s3.amazonaws.com", path: "/test.txt", headers: [("Range", "bytes=0-9")],
      contentSHA256: Digest.sha256([]).hexText)
    let signed = signer.sign(request, time: 1_369_353_600_000)
    #expect(
      signed.last?.value.hasSuffix("Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41") == true
    )
  }

  @Test func headersThatChangeOnTheWayAreNotSigned() {
    let signer = SigV4(keyID: "K", secret: Secret("S"), region: "r")
    let headers = [
      ("Accept-Encoding", "identity"), ("User-Agent", "x"), ("Expect", "100-continue"), ("Range", "bytes=0-1"),
    ]
    let request = SigV4.Request(
      method: "GET", host: "h", path: "/", headers: headers.map { (name: $0.0, value: $0.1) }, contentSHA256: "00")
    let authorization = signer.sign(request, time: 0).last?.value
    #expect(authorization?.contains("SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,") == true)
  }
}
