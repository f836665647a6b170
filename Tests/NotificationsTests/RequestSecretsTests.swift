import Testing
import Transfer

@testable import Notifications

@Suite("Secrets of a request in the receiver's answer")
struct RequestSecretsTests {
  private func removed(_ answer: String, url: String, token: String? = nil, topic: String? = nil) -> String {
    let headers = token.map { [(name: "Authorization", value: "Bearer \($0)")] } ?? []
    let secrets = RequestSecrets(of: HTTPRequest(.post, url, headers: headers), and: topic)
    return String(decoding: secrets.removed(from: Array(answer.utf8)), as: UTF8.self)
  }

  @Test("The page of Express, which repeats the path, does not contain it")
  func path() {
    let page = "<title>Error</title>\n<pre>Cannot POST /hooks/s3cret-k3q9x</pre>"
    let shown = "<title>Error</title>\n<pre>Cannot POST …</pre>"
    for url in ["https://a.test/hooks/s3cret-k3q9x", "https://a.test/hooks/s3cret-k3q9x?wait=1#x"] {
      #expect(removed(page, url: url) == shown)
    }
    // Another part of the same path, as a proxy may shorten or extend it.
    #expect(removed("no s3cret-k3q9x/ here", url: "https://a.test/hooks/s3cret-k3q9x") == "no …/ here")
    #expect(removed("no hooks / here", url: "https://a.test/hooks/s3cret-k3q9x") == "no hooks / here")
    #expect(removed("Cannot POST /", url: "https://a.test/") == "Cannot POST /")
    #expect(removed("Cannot POST /", url: "https://a.test") == "Cannot POST /")
  }

  @Test("Nor the query, one of its values, or the decoded form of any part")
  func query() {
    let url = "https://a.test/in?team=ops&key=abc%2Fdefgh"
    #expect(removed("/in?team=ops&key=abc%2Fdefgh: no", url: url) == "…?…: no")
    #expect(removed("{\"key\":\"abc/defgh\",\"team\":\"ops\"}", url: url) == "{\"key\":\"…\",\"team\":\"ops\"}")
  }

  @Test("Nor the token, the user, the password and their header")
  func credentials() {
    #expect(removed("Bearer tk_1 is unknown", url: "https://a.test/", token: "tk_1") == "Bearer … is unknown")
    let url = "https://agent:p%40ss@a.test/"
    #expect(removed("agent has not the password p@ss (p%40ss)", url: url) == "… has not the password … (…)")
    #expect(removed("Authorization: Basic YWdlbnQ6cEBzcw==", url: url) == "Authorization: Basic …")
  }

  @Test("Nor the topic in the body, what is cut off after eight bytes, and capitals")
  func changed() {
    #expect(removed(#"{"topic":"ops-k3q9x"}"#, url: "https://a.test", topic: "ops-k3q9x") == #"{"topic":"…"}"#)
    #expect(removed("a topic", url: "https://a.test", topic: "a") == "a topic")
    let url = "https://a.test/in/s3cret-k3q9x"
    #expect(removed("no s3cret-k…, no S3CRET-K3Q9X, no s3cret-", url: url) == "no ……, no …, no s3cret-")
  }

  @Test("Secrets that overlap, repeat or end the text are removed whole")
  func places() {
    let url = "https://a.test/abcabcabc/cabcabca"
    #expect(removed("abcabcabcabca abcabcabc", url: url) == "… …")
    #expect(removed("abcabc", url: url) == "abcabc" && removed("", url: url) == "")
    #expect(removed("né abcabcabc é", url: url) == "né … é")
  }
}
