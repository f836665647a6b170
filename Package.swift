// swift-tools-version: 6.1
import PackageDescription

// Arrows point only downwards (see CONTRIBUTING.md); the test command builds with
// `--explicit-target-dependency-import-check error`, so an arrow that is not written here does not compile.
let strict: [SwiftSetting] = [.enableUpcomingFeature("ExistentialAny")]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")

let package = Package(
  name: "holdfast",
  products: [
    .executable(name: "holdfast", targets: ["holdfast"]),
    .library(name: "BackupEngine", targets: ["BackupEngine"]),
    .library(name: "BackupAgent", targets: ["BackupAgent"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
  ],
  targets: [
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CISAL", pkgConfig: "libisal", providers: [.apt(["libisal-dev"])]),
    .systemLibrary(name: "CXXHash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
    .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
    .target(name: "CShims"),
    .target(name: "Names", swiftSettings: strict),
    .target(name: "TOML", swiftSettings: strict),

    .target(name: "Transfer", dependencies: ["CCurl", "CShims", "Names"], swiftSettings: strict),
    .target(
      name: "ObjectStorage", dependencies: ["Transfer", "COpenSSL", "CShims", "Names"], swiftSettings: strict),

    .target(name: "SQLitePages", dependencies: ["CSQLite", "Names"], swiftSettings: strict),
    .target(name: "BackupPolicy", dependencies: ["Names"], swiftSettings: strict),
    .target(
      name: "BackupEngine",
      dependencies: [
        "BackupPolicy", "Names", "SQLitePages", "COpenSSL", "CZlib", "CISAL", "CXXHash", "CShims", logging,
      ], swiftSettings: strict),
    .target(
      name: "Replication",
      dependencies: ["BackupEngine", "BackupPolicy", "ObjectStorage", "Transfer", "Names", "CShims", logging],
      swiftSettings: strict),
    .target(
      name: "Wording", dependencies: ["BackupEngine", "BackupPolicy", "Names", "Replication"], swiftSettings: strict),
    .target(
      name: "Notifications",
      dependencies: ["BackupEngine", "BackupPolicy", "Names", "Transfer", "Wording", "CShims"],
      swiftSettings: strict),
    .target(
      name: "BackupAgent",
      dependencies: [
        "BackupEngine", "BackupPolicy", "Names", "Notifications", "ObjectStorage", "Replication", "SQLitePages",
        "Transfer", "Wording", "CShims", lifecycle, unixSignals, logging,
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "holdfast",
      dependencies: [
        "BackupAgent", "BackupEngine", "BackupPolicy", "CShims", "Names", "Notifications", "ObjectStorage",
        "Replication", "TOML", "Transfer", "Wording", argumentParser, logging,
      ], swiftSettings: strict),

    // Without package access: it can use nothing but what is public.
    .executableTarget(
      name: "example-shop", dependencies: ["BackupAgent", "BackupEngine", "CSQLite"], path: "contrib/examples/shop",
      packageAccess: false, swiftSettings: strict),

    .target(
      name: "TestSupport", dependencies: ["BackupEngine", "BackupPolicy", "Names", "SQLitePages", "CSQLite", logging],
      path: "Tests/TestSupport", swiftSettings: strict),
    .testTarget(name: "TransferTests", dependencies: ["Transfer", "CCurl", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "ObjectStorageTests", dependencies: ["ObjectStorage", "Transfer", "Names", "TestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "SQLitePagesTests", dependencies: ["SQLitePages", "CSQLite", "Names", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "BackupPolicyTests", dependencies: ["BackupPolicy", "Names", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "BackupEngineTests",
      dependencies: ["BackupEngine", "BackupPolicy", "Names", "SQLitePages", "CSQLite", "TestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "ReplicationTests",
      dependencies: [
        "Replication", "BackupEngine", "BackupPolicy", "ObjectStorage", "Transfer", "Names", "TestSupport",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "NotificationsTests",
      dependencies: [
        "Notifications", "BackupEngine", "BackupPolicy", "Names", "Transfer", "Wording", "TestSupport",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "BackupAgentTests",
      dependencies: [
        "BackupAgent", "BackupEngine", "BackupPolicy", "Names", "Notifications", "ObjectStorage", "Replication",
        "SQLitePages",
        "TestSupport", "Transfer", "Wording", lifecycle, logging,
      ],
      swiftSettings: strict),
    .testTarget(
      name: "CommandLineTests",
      dependencies: [
        "holdfast", "BackupEngine", "BackupPolicy", "Names", "Notifications", "ObjectStorage", "Replication", "TOML",
        "TestSupport", "Wording",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "LibraryTests",
      dependencies: ["BackupAgent", "BackupEngine", "TestSupport", "example-shop", lifecycle, logging],
      swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6]
)
