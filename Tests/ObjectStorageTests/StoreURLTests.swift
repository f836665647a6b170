import Testing

@testable import ObjectStorage

@Suite struct StoreURLTests {
  /// The parts of an address as text: `bucket|prefix|endpoint|region`.
  private static func parts(_ text: String) throws -> String {
    switch try StoreURL(text) {
    case .folder(let path): "folder \(path)"
    case .s3(let location):
      [location.bucket, location.prefix, location.endpoint?.description ?? "aws", location.region ?? "-"]
        .joined(separator: "|")
    }
  }

  @Test(arguments: [
    ("s3://bkt", "bkt||aws|-"),
    ("s3://bkt/", "bkt||aws|-"),
    ("s3://bkt/a/b/", "bkt|a/b|aws|-"),
    ("s3://bkt/a%20b+c?region=eu-central-1", "bkt|a b+c|aws|eu-central-1"),
    ("s3://bkt/p?endpoint=https://minio.example.com:9000&region=x", "bkt|p|https://minio.example.com:9000|x"),
    ("s3://bkt/p?endpoint=http%3A%2F%2F127.0.0.1%3A9000%2F", "bkt|p|http://127.0.0.1:9000|-"),
    ("s3://bkt/p?endpoint=http://minio:9000", "bkt|p|http://minio:9000|-"),
    ("s3://bkt/p?endpoint=https://[::1]:9000&force-path-style=true", "bkt|p|https://[::1]:9000|-"),
    (
      "s3://bkt?endpoint=s3.eu-central-003.backblazeb2.com",
      "bkt||https://s3.eu-central-003.backblazeb2.com|eu-central-003"
    ),
    ("s3://bkt?endpoint=https://abc.r2.cloudflarestorage.com", "bkt||https://abc.r2.cloudflarestorage.com|auto"),
    ("s3://bkt?endpoint=https://fra1.digitaloceanspaces.com", "bkt||https://fra1.digitaloceanspaces.com|fra1"),
    ("s3://bkt?endpoint=https://nbg1.your-objectstorage.com", "bkt||https://nbg1.your-objectstorage.com|nbg1"),
    ("s3://bkt?endpoint=https://s3.wasabisys.com", "bkt||https://s3.wasabisys.com|-"),
    // Litestream's forms.
    ("s3://bkt.s3.us-west-000.backblazeb2.com/db", "bkt|db|https://s3.us-west-000.backblazeb2.com|us-west-000"),
    ("s3://bkt.nyc3.digitaloceanspaces.com/db", "bkt|db|https://nyc3.digitaloceanspaces.com|nyc3"),
    ("s3://bkt.localhost:9000/db", "bkt|db|http://localhost:9000|-"),
    ("s3://my.bkt.s3.eu-west-1.amazonaws.com/db", "my.bkt|db|aws|eu-west-1"),
    ("s3://bkt.s3-eu-west-1.amazonaws.com/db", "bkt|db|aws|eu-west-1"),
    ("s3://bkt.s3.amazonaws.com/db", "bkt|db|aws|-"),
    ("s3://bkt.with.dots/db", "bkt.with.dots|db|aws|-"),
    // restic's forms.
    ("s3:s3.amazonaws.com/bkt/p", "bkt|p|aws|-"),
    ("s3:s3.eu-west-1.amazonaws.com/bkt", "bkt||aws|eu-west-1"),
    ("s3:https://s3.fr-par.scw.cloud/bkt/p/q", "bkt|p/q|https://s3.fr-par.scw.cloud|fr-par"),
    ("s3:http://localhost:9000/bkt/p", "bkt|p|http://localhost:9000|-"),
    ("s3:minio.example.com:9000/bkt", "bkt||https://minio.example.com:9000|-"),
    ("s3://s3.amazonaws.com/bkt/p", "bkt|p|aws|-"),
    // Folders.
    ("/mnt/nas/backups", "folder /mnt/nas/backups"), ("./x", "folder ./x"), ("x", "folder x"), ("C:x", "folder C:x"),
    ("file:///mnt/a%20b", "folder /mnt/a b"), ("file://localhost/mnt", "folder /mnt"),
    ("/mnt/50% off", "folder /mnt/50% off"),
  ]) func addressesAreRead(_ text: String, _ expected: String) throws {
    #expect(try Self.parts(text) == expected)
  }

  @Test(arguments: [
    "", "s3://", "s3:///p", "s3://BKT name/p", "s3://-b", "s3://bkt/a//b", "s3://bkt/../b", "s3://bkt/%",
    "s3://bkt/%00",
    "s3://bkt:9000/p", "s3://bkt?region=", "s3://bkt?region=a.b", "s3://bkt?region=a/b", "s3://bkt?list=3",
    "s3://bkt?access-key=x", "s3://bkt?path-style=maybe", "s3://bkt?endpoint=", "s3://bkt?endpoint=https://",
    "s3://bkt?endpoint=ftp://x",
    "s3://bkt?endpoint=https://h/path", "s3://bkt?endpoint=https://h:0", "s3://bkt?endpoint=https://h:99999",
    "s3://bkt?endpoint=https://[::1",
    "s3:", "s3:host", "s3:https://host/", "file://host/path", "file://relative", "file:///%zz", "https://host/bkt",
    "gs://bkt/p",
    "sftp://host/p", "azure://x",
  ]) func mistakesAreRefused(_ text: String) {
    let error = #expect(throws: StoreError.self) { try StoreURL(text) }
    #expect(error?.kind == .invalid)
  }

  @Test(arguments: [
    "s3://key:hunter2@bkt/p", "s3://hunter2@bkt", "s3:https://key:hunter2@host/bkt",
    "s3://bkt?endpoint=https://k:hunter2@h",
    "s3://bkt?secret=hunter2", "s3://bkt?hunter2@x", "http://key:hunter2@host/bkt",
  ]) func secretsAreRefusedAndNotRepeated(_ text: String) {
    let error = #expect(throws: StoreError.self) { try StoreURL(text) }
    #expect(error?.message.contains("key:") == false)
    if !text.contains("?hunter2") { #expect(error?.message.contains("hunter2") == false) }
  }

  @Test(arguments: [
    "example.com", "8.8.8.8", "172.32.0.1", "172.15.0.1", "192.169.0.1", "11.0.0.1", "100.128.0.1", "127.example.com",
    "0x7f000001",
    "2130706433", "0177.0.0.1", "127.1", "localhost.example.com", "[2001:db8::1]", "[::]", "[::ffff:8.8.8.8]",
    "1.2.3.4.5",
  ]) func httpToPublicHostsIsRefused(_ host: String) throws {
    #expect(throws: StoreError.self) { try StoreEndpoint("http://\(host)") }
    _ = try StoreEndpoint("https://\(host)")
  }

  @Test(arguments: [
    "localhost", "127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.170.2",
    "100.64.0.1",
    "[::1]", "[fd00::1]", "[fe80::1]", "minio", "nas.local", "s3.internal",
  ]) func httpToPrivateHostsIsAllowed(_ host: String) throws {
    #expect(try StoreEndpoint("HTTP://\(host)".replacing("HTTP", with: "http")).host == host)
  }

  @Test func addressesOnTheNetwork() throws {
    func url(_ text: String) throws -> String {
      guard case .s3(let location) = try StoreURL(text) else { return "" }
      let address = S3Address(location, region: location.region ?? "us-east-1")
      return "\(address.scheme)://\(address.host)\(address.path("k ä"))"
    }
    #expect(try url("s3://bkt/p?region=eu-west-1") == "https://bkt.s3.eu-west-1.amazonaws.com/k%20%C3%A4")
    #expect(try url("s3://b.k.t?region=eu-west-1") == "https://s3.eu-west-1.amazonaws.com/b.k.t/k%20%C3%A4")
    #expect(try url("s3://bkt?region=cn-north-1") == "https://bkt.s3.cn-north-1.amazonaws.com.cn/k%20%C3%A4")
    #expect(try url("s3://bkt?endpoint=https://h:9000") == "https://h:9000/bkt/k%20%C3%A4")
    #expect(try url("s3://bkt?endpoint=https://h&path-style=false") == "https://bkt.h/k%20%C3%A4")
  }
}
