/// The pages of a database that never changes, wherever they are kept; read by one thread at a time.
package protocol DatabasePages: AnyObject {
  var pageSize: Int { get }
  var pageCount: UInt32 { get }
  /// Fills `buffer` from `offset` in a page.
  ///
  /// - Parameter number: 1-based, at most ``pageCount``.
  func read(page number: UInt32, at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws
}

extension DatabasePages {
  /// One whole page.
  func bytes(ofPage number: UInt32) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: pageSize)
    try bytes.withUnsafeMutableBytes { try read(page: number, at: 0, into: $0) }
    return bytes
  }
}
