import Synchronization
import Testing

@testable import ObjectStorage

/// Refreshing in virtual time.
@Suite struct CredentialChainTests {
  /// Gives out numbered keys that are good for an hour.
  private final class Provider: CredentialProvider {
    let name = "provider"
    private let state = Mutex((asked: 0, fails: false))
    private let life: Int64
    var asked: Int { state.withLock { $0.asked } }
    var fails: Bool {
      get { state.withLock { $0.fails } }
      set { state.withLock { $0.fails = newValue } }
    }

    init(life: Int64 = 3_600_000) { self.life = life }

    func fetch(now: Int64) throws(StoreError) -> StoreCredentials? {
      let number = state.withLock { state -> Int? in
        state.asked += 1
        return state.fails ? nil : state.asked
      }
      guard let number else { throw StoreError(.unavailable, "down") }
      return StoreCredentials(
        keyID: "\(number)", secret: Secret("hunter2"), sessionToken: Secret("hunter2"), expires: now + life,
        source: name)
    }
  }

  private static let minute: Int64 = 60_000

  @Test func keysAreRefreshedFiveMinutesAhead() throws {
    let provider = Provider()
    let chain = CredentialChain([provider])
    #expect(try chain.current(now: 0).keyID == "1")
    #expect(try chain.current(now: 55 * Self.minute - 1).keyID == "1")
    #expect(try chain.current(now: 55 * Self.minute).keyID == "2")
    #expect(try chain.current(now: 56 * Self.minute).keyID == "2" && provider.asked == 2)
  }

  @Test func keysWithAShortLifeAreNotFetchedForEachRequest() throws {
    let provider = Provider(life: 20_000)
    let chain = CredentialChain([provider])
    for now in stride(from: Int64(0), to: 15_000, by: 100) { #expect(try chain.current(now: now).keyID == "1") }
    #expect(try chain.current(now: 15_000).keyID == "2")
    for now in stride(from: Int64(15_000), to: 30_000, by: 100) { #expect(try chain.current(now: now).keyID == "2") }
    #expect(provider.asked == 2)
    // A clock that is wrong makes all keys look expired.
    let late = Provider(life: -60_000)
    let expired = CredentialChain([late])
    for now in stride(from: Int64(0), to: 20_000, by: 100) { _ = try expired.current(now: now) }
    #expect(late.asked == 2)
  }

  @Test func aProviderThatFailsIsAskedRarelyWhileTheKeysAreGood() throws {
    let provider = Provider(life: 20_000)
    let chain = CredentialChain([provider])
    _ = try chain.current(now: 0)
    provider.fails = true
    for now in stride(from: Int64(0), to: 20_000, by: 10) { #expect(try chain.current(now: now).keyID == "1") }
    #expect((3...12).contains(provider.asked), "\(provider.asked)")
    #expect(throws: StoreError.self) { try chain.current(now: 20_000) }
  }

  @Test func oldKeysServeUntilTheyExpire() throws {
    let provider = Provider()
    let chain = CredentialChain([provider])
    _ = try chain.current(now: 0)
    provider.fails = true
    #expect(try chain.current(now: 59 * Self.minute).keyID == "1")
    let error = #expect(throws: StoreError.self) { try chain.current(now: 60 * Self.minute) }
    #expect(error?.kind == .unavailable)
    provider.fails = false
    #expect(try chain.current(now: 61 * Self.minute).keyID == "4")
  }

  @Test func refusedKeysAreForgotten() throws {
    let chain = CredentialChain([Provider()])
    let first = try chain.current(now: 0)
    chain.invalidate(first)
    #expect(try chain.current(now: 1).keyID == "2")
    // A late refusal of the old keys does not forget the new ones.
    chain.invalidate(first)
    #expect(try chain.current(now: 2).keyID == "2")
  }

  @Test func secretsAreNeverPrinted() throws {
    let credentials = try CredentialChain([Provider()]).current(now: 0)
    var dumped = ""
    dump(credentials, to: &dumped)
    let signer = SigV4(keyID: "K", secret: credentials.secret, sessionToken: credentials.sessionToken, region: "r")
    var dumpedSigner = ""
    dump(signer, to: &dumpedSigner)
    let texts = ["\(credentials)", String(reflecting: credentials), dumped, "\(signer)", dumpedSigner]
    for text in texts { #expect(!text.contains("hunter2") && text.contains("…"), "\(text)") }
  }
}
