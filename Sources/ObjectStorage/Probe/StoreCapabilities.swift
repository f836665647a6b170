/// The abilities of a store as a probe found them. Services of one name differ by version and by
/// region, so nothing is assumed from an address.
package struct StoreCapabilities: Hashable, Sendable, Codable {
  /// The result of a try.
  package enum Support: String, Hashable, Sendable, Codable {
    case works
    case fails
    /// The credentials do not allow the try.
    case denied
    case untried
  }

  /// What a store does with a put that must not replace an object.
  package enum Creation: String, Hashable, Sendable, Codable {
    /// It refuses the second put of a name, and the first content stays.
    case enforced
    /// It accepts both: of two writers, both believe to be the first.
    case ignored
    /// It refuses the condition itself.
    case unsupported
    /// The content could not be read back, so a refusal proves little.
    case unproved
    case untried
  }

  package var creation = Creation.untried
  /// An object can be looked up and fetched at once after its put, and is the same.
  package var reading = Support.untried
  /// A list shows an object at once after its put.
  package var listing = Support.untried
  /// A part of an object can be fetched.
  package var ranges = Support.untried
  /// Pages of a list continue where the last one ended, in the order of bytes, without gaps and
  /// repetitions, and group folders.
  package var paging = Support.untried
  /// A name without an object is reported as missing, and not as denied.
  package var absence = Support.untried
  /// A removed object is gone at once.
  package var removal = Support.untried
  /// Milliseconds that the store's clock is ahead of this machine's; to about a second. Nil if the
  /// store does not report its time.
  package var clockDrift: Int64?
  /// Nil for a store without such settings, for example a folder.
  package var bucket: BucketSettings?

  package init() {}
}

/// The settings of a bucket that decide how long objects stay.
package struct BucketSettings: Hashable, Sendable, Codable {
  /// A setting, or the reason why it is not known.
  package enum Reading<Value: Hashable & Sendable & Codable>: Hashable, Sendable, Codable {
    case known(Value)
    /// The credentials do not allow to read it.
    case denied
    /// The store does not know this setting.
    case unsupported

    package var value: Value? {
      if case .known(let value) = self { return value }
      return nil
    }
  }

  package enum Versioning: String, Hashable, Sendable, Codable {
    case off, suspended, enabled
  }

  /// Whether the bucket can lock objects, and for how long it locks each new one.
  package struct Lock: Hashable, Sendable, Codable {
    package var isEnabled = false
    /// `GOVERNANCE` or `COMPLIANCE`; nil if new objects are not locked by default.
    package var mode: String?
    package var days: Int?

    package init() {}
  }

  package var versioning: Reading<Versioning>
  package var lifecycle: Reading<[LifecycleRule]>
  package var lock: Reading<Lock>

  package init(
    versioning: Reading<Versioning>, lifecycle: Reading<[LifecycleRule]>, lock: Reading<Lock>
  ) {
    (self.versioning, self.lifecycle, self.lock) = (versioning, lifecycle, lock)
  }
}

/// A rule by which a bucket changes or removes its objects.
package struct LifecycleRule: Hashable, Sendable, Codable {
  package var id: String
  /// Of the keys that it is for; empty for all.
  package var prefix: String
  package var isEnabled: Bool
  /// Objects must also have tags or a size.
  package var isFiltered = false
  /// Objects are removed after days, or on a date.
  package var removesAfter: String?
  /// Days after which versions that were replaced or removed are freed.
  package var freesVersionsAfter: Int?
  /// Days after which the parts of an unfinished upload are freed.
  package var freesUploadsAfter: Int?
  /// The classes that objects are moved to.
  package var classes: [String] = []

  package init(id: String, prefix: String, isEnabled: Bool) {
    (self.id, self.prefix, self.isEnabled) = (id, prefix, isEnabled)
  }

  /// Whether the rule is for a key below a prefix, which ends with `/` or is empty.
  package func concerns(_ keys: String) -> Bool {
    isEnabled && (keys.utf8.starts(with: prefix.utf8) || prefix.utf8.starts(with: keys.utf8))
  }

  /// Whether it is for all of them.
  package func covers(_ keys: String) -> Bool {
    isEnabled && !isFiltered && keys.utf8.starts(with: prefix.utf8)
  }
}

/// A store that can report the settings of its bucket and its time.
package protocol BucketReader: ObjectStore {
  func bucketSettings() throws(StoreError) -> BucketSettings
  /// The start of this store's keys in the bucket; ends with `/` or is empty.
  var keyPrefix: String { get }
  /// Milliseconds that the store's clock was ahead at its last answer; nil before the first one.
  var observedDrift: Int64? { get }
}
