import BackupPolicy
import Names
import ObjectStorage
import Transfer

/// One place to which the backups of one database are copied, as the settings describe it.
package struct Target: Sendable {
  /// Unique among the targets of the database.
  package var name: String
  /// The address as it was given; it contains no secret.
  package var address: String
  package var url: StoreURL
  /// The rules for the content of the target, and how often it is written.
  package var settings: TargetSettings
  package var connection = TargetConnection()
  /// Seconds until the target counts as behind.
  package var maxLag: Int64 = 900
  /// Seconds between two lists of the target that check its content; 0: never.
  package var check: Int64 = 86400
  /// The store's class for fulls of 128 KiB and more, such as `STANDARD_IA`; nil for the bucket's
  /// default.
  package var storageClass: String?

  package init(name: String, address: String, settings: TargetSettings) throws(StoreError) {
    (self.name, self.address, self.settings) = (name, address, settings)
    url = try StoreURL(address)
  }
}

extension Target {
  /// When the target counts as behind.
  package var lag: LagPolicy { LagPolicy(maxLag: maxLag, interval: settings.interval) }

  /// The folder that must exist, because it may be the place of a disk; nil for a bucket.
  package var requiredFolder: String? {
    guard case .folder(let path) = url else { return nil }
    return connection.parts(ofFolder: path).base
  }
}

/// How a store is reached.
package struct TargetConnection: Sendable {
  /// A file with the keys of the account; nil for those of the surroundings.
  package var credentialsFile: String?
  /// A PEM file of the only trusted certificate authorities; nil for those of the surroundings.
  package var caFile: String?
  /// The URL of a proxy; nil for that of the environment.
  package var proxy: String?
  package var surroundings = CredentialSurroundings(environment: [:], home: "/")
  /// For the `User-Agent` of requests.
  package var version = "0"
  /// Of uploads in parts.
  package var uploads = S3Settings()
  /// How many folders at the end of a folder's path are made if they do not exist.
  package var madeFolders = 0
  /// The bandwidth of the loop that performs the requests of this target.
  package var limits = TransferLimits()

  package init() {}

  /// Limits the bandwidth of uploads. Smaller parts then take minutes and not a quarter of an hour,
  /// after which a store refuses the time of their signature (boto/boto3#3893).
  ///
  /// - Parameter rate: bytes a second.
  package mutating func limitUploads(to rate: Int64) {
    limits.upload = rate
    uploads.multipartThreshold = min(max(rate.multipliedClamped(by: 240), Self.leastPart), uploads.multipartThreshold)
    let share = rate.multipliedClamped(by: 240) / Int64(uploads.parallelParts)
    uploads.partSize = min(max(share, Self.leastPart), uploads.partSize)
  }

  /// S3 allows no smaller part, but for the last one.
  private static let leastPart: Int64 = 5 << 20

  /// Opens the store. No request is sent.
  ///
  /// - Parameter loop: performs the requests, and limits their bandwidth.
  package func open(_ url: StoreURL, on loop: TransferLoop) -> any ObjectStore {
    switch url {
    case .folder(let path): folder(path)
    case .s3(let location): s3(location, loop)
    }
  }

  private func folder(_ path: String) -> FolderStore {
    let (base, below) = parts(ofFolder: path)
    return FolderStore(base, below: below)
  }

  /// The folder that must exist, and the names of those below it that are made.
  fileprivate func parts(ofFolder path: String) -> (base: String, below: [String]) {
    var base = path
    var below: [String] = []
    for _ in 0..<madeFolders {
      while base.hasSuffix("/"), base != "/" { base.removeLast() }
      below.insert(base.lastComponent, at: 0)
      base = base.parentPath
    }
    return (base, below)
  }

  private func s3(_ location: S3Location, _ loop: TransferLoop) -> S3Store {
    var settings = TransferSettings(version: version)
    settings.caFile = caFile ?? surroundings.certificateAuthorities
    if let proxy { settings.proxy = .url(proxy, except: "") }
    var location = location
    if location.region == nil { location.region = surroundings.region }
    var direct = settings
    direct.proxy = .none
    var live = surroundings
    live.isStopped = { loop.isStopped }
    let client = CredentialClient(usual: loop.client(settings), direct: loop.client(direct))
    let chain = CredentialChain(file: credentialsFile, surroundings: live, client: client)
    return S3Store(location, credentials: chain, client: loop.client(settings), settings: uploads)
  }
}

/// The client of providers of credentials. Those of containers and instances answer in clear text on
/// an address of this machine alone, which no proxy may see.
private struct CredentialClient: HTTPClient {
  let usual: TransferClient
  let direct: TransferClient

  func perform(_ request: HTTPRequest, into sink: HTTPSink) throws(TransferError) -> HTTPResponse {
    try (request.url.hasPrefix("https://") ? usual : direct).perform(request, into: sink)
  }
}
