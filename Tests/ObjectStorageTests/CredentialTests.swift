import Glibc
import TestSupport
import Testing
import Transfer

@testable import ObjectStorage

/// The providers of credentials, each against files, programs and small services.
@Suite(.ownThread) struct CredentialTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func surroundings(_ environment: [String: String] = [:]) -> CredentialSurroundings {
    CredentialSurroundings(environment: environment, home: folder.path)
  }

  private func write(_ name: String, _ text: String) throws -> String {
    try folder.write(name, Array(text.utf8))
  }

  @Test func theEnvironmentHasKeys() throws {
    let both = ["AWS_ACCESS_KEY_ID": "K", "AWS_SECRET_ACCESS_KEY": "S"]
    let found = try EnvironmentCredentials(surroundings: surroundings(both)).fetch(now: 0)
    #expect(found?.keyID == "K" && found?.secret.exposed == "S" && found?.sessionToken == nil && found?.expires == nil)
    let token = both.merging(["AWS_SESSION_TOKEN": "T"]) { $1 }
    #expect(try EnvironmentCredentials(surroundings: surroundings(token)).fetch(now: 0)?.sessionToken?.exposed == "T")
    #expect(try EnvironmentCredentials(surroundings: surroundings(["AWS_ACCESS_KEY_ID": ""])).fetch(now: 0) == nil)
    for name in both.keys {
      #expect(throws: StoreError.self) {
        try EnvironmentCredentials(surroundings: surroundings([name: "x"])).fetch(now: 0)
      }
    }
  }

  @Test func profilesHaveKeys() throws {
    let credentials = try write(
      "credentials",
      """
      # comment
      [default]
      aws_access_key_id = D
      aws_secret_access_key = a=b#c   ; a comment

      [ other ]
      AWS_ACCESS_KEY_ID=O
      aws_secret_access_key=so
      aws_session_token=t
      """)
    let config = try write(
      "config",
      """
      [default]
      region = eu-west-1
      s3 =
        aws_access_key_id = nested
      [profile third]
      aws_access_key_id = T
      aws_secret_access_key = st
      [profile sso]
      sso_session = x
      [profile empty]
      """)
    let base = ["AWS_SHARED_CREDENTIALS_FILE": credentials, "AWS_CONFIG_FILE": config]
    func fetch(_ profile: String?) throws -> StoreCredentials? {
      let environment = profile.map { base.merging(["AWS_PROFILE": $0]) { $1 } } ?? base
      return try ProfileCredentials(surroundings: surroundings(environment)).fetch(now: 0)
    }
    #expect(try fetch(nil)?.keyID == "D" && fetch(nil)?.secret.exposed == "a=b#c")
    #expect(try fetch("other")?.sessionToken?.exposed == "t")
    #expect(try fetch("third")?.keyID == "T")
    for profile in ["sso", "empty", "no such"] { #expect(throws: StoreError.self) { try fetch(profile) } }
    #expect(try ProfileCredentials(surroundings: surroundings()).fetch(now: 0) == nil)
  }

  @Test(arguments: [
    "aws_access_key_id=K\naws_secret_access_key=S\n", "[default]\naws_access_key_id=K\naws_secret_access_key=S\n",
    "[any]\r\naws_access_key_id = K\r\naws_secret_access_key = S\r\n",
  ]) func aFileOfTheTargetHasKeys(_ text: String) throws {
    let provider = FileCredentials(path: try write("file", text), surroundings: surroundings())
    #expect(try provider.fetch(now: 0)?.keyID == "K" && provider.fetch(now: 0)?.secret.exposed == "S")
  }

  @Test func aWrongFileOfTheTargetIsAnError() throws {
    for path in [try write("file", "nothing"), folder.path("missing"), folder.path] {
      let provider = FileCredentials(path: path, surroundings: surroundings())
      #expect(throws: StoreError.self) { try provider.fetch(now: 0) }
    }
  }

  @Test func aProgramHasKeys() throws {
    let json =
      #"{"Version": 1, "AccessKeyId": "P", "SecretAccessKey": "hunter2", "SessionToken": "T", "Expiration": "2026-11-28T19:00:00+01:00"}"#
    let file = try write("answer one.json", json)
    let found = try CredentialProcess(command: "cat '\(file)'", source: "it").credentials()
    #expect(found.keyID == "P" && found.secret.exposed == "hunter2" && found.sessionToken?.exposed == "T")
    #expect(found.expires == 1_795_888_800_000)
    for command in [
      "false", "cat 'open", "", "no-such-program-at-all", "echo hunter2", "cat /dev/zero",
      "sh -c 'cat \"\(file)\"; exit 3'",
    ] {
      let error = #expect(throws: StoreError.self) {
        try CredentialProcess(command: command, source: "it").credentials()
      }
      #expect(error?.message.contains("hunter2") == false)
    }
  }

  @Test func aProgramThatHangsIsEndedWithItsChildren() throws {
    let script = "sleep 600 & echo $! >'\(folder.path("child"))'; echo 'waiting for a token' >&2; wait"
    var process = CredentialProcess(command: "sh '\(try write("script", script))'", source: "it", timeout: 3000)
    let error = #expect(throws: StoreError.self) { try process.credentials() }
    #expect(error?.message == "it: sh did not end within 3 s and was killed: waiting for a token")
    let child = try #require(
      pid_t(Shell.run("cat", [folder.path("child")]).stdout.prefix(while: \.isNumber)))
    #expect(try hasEnded(child))
    process.timeout = 60_000
    process.isStopped = { true }
    let stopped = #expect(throws: StoreError.self) { try process.credentials() }
    #expect(stopped?.kind == .cancelled)
  }

  /// Whether a process has ended; its parent may not have noticed.
  private func hasEnded(_ process: pid_t) throws -> Bool {
    for _ in 0..<500 {
      let status = try Shell.run("ps", ["-o", "stat=", "-p", "\(process)"]).stdout
      if status.isEmpty || status.hasPrefix("Z") { return true }
      usleep(10_000)
    }
    return false
  }

  @Test func theErrorOutputOfAProgramIsTheReason() throws {
    let long = String(repeating: "x", count: 500)
    for (script, message) in [
      ("echo first >&2; printf 'token\\t expired\\n\\n' >&2; exit 3", "it: sh failed with exit code 3: token expired"),
      ("kill -9 $$", "it: sh was ended by signal 9"),
      ("echo \(long) >&2; exit 1", "it: sh failed with exit code 1: \(long.prefix(200))…"),
    ] {
      let file = try write("script", script)
      let error = #expect(throws: StoreError.self) {
        try CredentialProcess(command: "sh '\(file)'", source: "it").credentials()
      }
      #expect(error?.message == message && error?.code == StoreError.helperFailed)
    }
    let file = try write("script", "printf 'a \\033[31mred\\n' >&2; exit 1")
    let error = #expect(throws: StoreError.self) {
      try CredentialProcess(command: "sh '\(file)'", source: "it").credentials()
    }
    #expect(error?.message.unicodeScalars.contains("\u{1B}") == false && error?.message.hasSuffix("[31mred") == true)
  }

  @Test func commandsAreSplitAsByAShell() {
    #expect(CredentialProcess.arguments(#"a  "b c"'d e' f\ g "\"" ''"#) == ["a", "b cd e", "f g", "\"", ""])
    #expect(CredentialProcess.arguments("a \\") == nil && CredentialProcess.arguments("'") == nil)
  }

  @Test func aWebIdentityIsExchanged() throws {
    let service = try PythonServer("credential_services.py")
    let file = try write("token", "first\n")
    let environment = [
      "AWS_WEB_IDENTITY_TOKEN_FILE": file, "AWS_ROLE_ARN": "arn:aws:iam::1:role/r", "AWS_ENDPOINT_URL_STS": service.url,
    ]
    let provider = WebIdentityCredentials(surroundings: surroundings(environment), client: SocketClient())
    let found = try provider.fetch(now: 0)
    #expect(found?.keyID == "sts-key-1" && found?.sessionToken?.exposed == "sts-token" && found?.expires != nil)
    _ = try write("token", "second")
    #expect(try provider.fetch(now: 0)?.keyID == "sts-key-2")
    #expect(service.output.contains("POST / AssumeRoleWithWebIdentity arn:aws:iam::1:role/r second"))
    _ = try write("token", "old")
    let error = #expect(throws: StoreError.self) { try provider.fetch(now: 0) }
    #expect(error?.kind == .noCredentials && error?.message.contains("ExpiredTokenException") == true)
    #expect(error?.message.contains("token old") == false)
  }

  @Test func aContainerHasKeys() throws {
    let service = try PythonServer("credential_services.py")
    let file = try write("token", "pod-token\n")
    var environment = [
      "AWS_CONTAINER_CREDENTIALS_FULL_URI": service.url + "/container", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": file,
    ]
    let provider = ContainerCredentials(surroundings: surroundings(environment), client: SocketClient())
    #expect(try provider.fetch(now: 0)?.keyID == "container-key-1")
    _ = try write("token", "wrong")
    let refused = #expect(throws: StoreError.self) { try provider.fetch(now: 0) }
    #expect(refused?.message.contains("secret words") == false)
    for url in [
      "http://example.com/x", "http://10.0.0.1/x", "http://127.0.0.1@example.com/", "ftp://localhost/",
      "http://minio/x",
    ] {
      environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = url
      let wrong = ContainerCredentials(surroundings: surroundings(environment), client: SocketClient())
      #expect(throws: StoreError.self) { try wrong.fetch(now: 0) }
    }
    #expect(try ContainerCredentials(surroundings: surroundings(), client: SocketClient()).fetch(now: 0) == nil)
  }

  @Test func anInstanceHasKeys() throws {
    let service = try PythonServer("credential_services.py")
    var environment = ["AWS_EC2_METADATA_SERVICE_ENDPOINT": service.url + "/"]
    let provider = InstanceCredentials(surroundings: surroundings(environment), client: SocketClient())
    #expect(try provider.fetch(now: 0)?.keyID == "instance-key-1")
    #expect(service.output.contains("PUT /latest/api/token ttl 21600"))
    environment["AWS_EC2_METADATA_DISABLED"] = "True"
    let disabled = InstanceCredentials(surroundings: surroundings(environment), client: SocketClient())
    #expect(try disabled.fetch(now: 0) == nil)
    let absent = ["AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1"]
    #expect(try InstanceCredentials(surroundings: surroundings(absent), client: SocketClient()).fetch(now: 0) == nil)
  }

  @Test func theOrderIsTheDocumentedOne() throws {
    let service = try PythonServer("credential_services.py")
    let file = try write("file", "aws_access_key_id=F\naws_secret_access_key=S\n")
    let token = try write("token", "pod-token")
    _ = try write("credentials", "[default]\naws_access_key_id=D\naws_secret_access_key=S\n")
    // The first that is configured answers; each round removes it.
    let rounds: [(String, [String])] = [
      ("K", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]), ("sts-key-1", ["AWS_WEB_IDENTITY_TOKEN_FILE"]),
      ("D", ["AWS_SHARED_CREDENTIALS_FILE"]), ("container-key-2", ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]),
      ("instance-key-3", ["AWS_EC2_METADATA_SERVICE_ENDPOINT"]),
    ]
    var environment = [
      "AWS_ACCESS_KEY_ID": "K", "AWS_SECRET_ACCESS_KEY": "S", "AWS_WEB_IDENTITY_TOKEN_FILE": token,
      "AWS_ROLE_ARN": "r", "AWS_ENDPOINT_URL_STS": service.url,
      "AWS_SHARED_CREDENTIALS_FILE": folder.path("credentials"),
      "AWS_CONTAINER_CREDENTIALS_FULL_URI": service.url + "/container", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": token,
      "AWS_EC2_METADATA_SERVICE_ENDPOINT": service.url,
    ]
    func chain(_ file: String? = nil) -> CredentialChain {
      CredentialChain(file: file, surroundings: surroundings(environment), client: SocketClient())
    }
    #expect(try chain(file).current(now: 0).keyID == "F")
    for (key, names) in rounds {
      #expect(try chain().current(now: 0).keyID == key)
      for name in names { environment[name] = nil }
    }
    environment["AWS_EC2_METADATA_DISABLED"] = "true"
    let error = #expect(throws: StoreError.self) { try chain().current(now: 0) }
    #expect(error?.kind == .noCredentials)
  }
}
