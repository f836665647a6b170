import TestSupport
import Testing

@testable import ObjectStorage

@Suite struct ListingXMLTests {
  private static func page(_ text: String, _ query: ListQuery = ListQuery()) throws -> ListPage {
    try ListingXML.page(Array(text.utf8), of: query)
  }

  @Test func aPageIsRead() throws {
    let page = try Self.page(
      """
      <?xml version="1.0" encoding="UTF-8"?>
      <!-- a comment -->
      <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><IsTruncated>true</IsTruncated>
        <NextContinuationToken>a&amp;b/c==</NextContinuationToken><EncodingType>url</EncodingType>
        <Contents><Key>a+b%2Bc%C3%A4</Key><LastModified>2026-11-28T18:55:19.123Z</LastModified><Size>5</Size></Contents>
        <Contents><Key>%FF</Key><Size>0</Size><Owner><ID>1</ID></Owner></Contents>
        <CommonPrefixes><Prefix>x%20y/</Prefix></CommonPrefixes></ListBucketResult>
      """)
    #expect(page.objects[0] == ObjectInfo(key: "a b+cä", size: 5, modified: 1_795_892_119_123))
    #expect(page.objects[1].key == "\u{10FEFF}" && page.folders == ["x y/"])
    #expect(page.next?.token == "a&b/c==")
  }

  @Test func keysAreOnlyDecodedIfTheyAreEncoded() throws {
    let page = try Self.page(
      "<ListBucketResult><Contents><Key>a+b%2Bc &lt;&#x41;&#66;</Key><Size>1</Size></Contents></ListBucketResult>")
    #expect(page.objects.map(\.key) == ["a+b%2Bc <AB"] && page.next == nil)
  }

  @Test func versionOneContinuesBehindTheLastName() throws {
    let head = "<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>k</Key><Size>1</Size></Contents>"
    #expect(try Self.page(head + "</ListBucketResult>").next?.token == "k")
    #expect(try Self.page(head + "<NextMarker>m</NextMarker></ListBucketResult>").next?.token == "m")
    let folders = head + "<CommonPrefixes><Prefix>z/</Prefix></CommonPrefixes></ListBucketResult>"
    #expect(try Self.page(folders).next?.token == "z/")
  }

  @Test func aPageWithoutEndIsRefused() {
    let text = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"
    #expect(throws: StoreError.self) { try Self.page(text) }
    let same =
      "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></ListBucketResult>"
    var query = ListQuery()
    query.token = "t"
    #expect(throws: StoreError.self) { try Self.page(same, query) }
  }

  static let hostile = [
    "", "<", "<a", "<a>", "</a>", "<a></b>", "<a/><b/>", "text", "<a/>text", "<a b></a>", "<a b=c></a>", "<a b='c></a>",
    "<a b='<'></a>", "<a b='1'c='2'/>", "<a>&unknown;</a>", "<a>&lt</a>", "<a>&#0;</a>", "<a>&#xD800;</a>",
    "<a>&#x110000;</a>",
    "<a>&#99999999999;</a>", "<a>&#-1;</a>", "<a>&#+65;</a>", "<a>&;</a>", "<a><![CDATA[x]]></a>", "<!DOCTYPE a><a/>",
    "<!DOCTYPE a [<!ENTITY x \"xxxxxxxxxx\">]><a>&x;</a>", "<?xml", "<!--", "<a><!-- </a>", "<-a/>", "<a><b></a></b>",
    String(repeating: "<a>", count: 1_000_000),
    String(repeating: "<a>", count: 17) + String(repeating: "</a>", count: 17),
    "<a>" + String(repeating: "<b/>", count: 100_001) + "</a>", "<" + String(repeating: "n", count: 1_000_000) + "/>",
  ]

  @Test(arguments: hostile) func hostileDocumentsAreRefused(_ text: String) {
    #expect(throws: XMLReader.Failure.self) { try XMLReader.read(Array(text.utf8)) }
    #expect(throws: StoreError.self) { try Self.page(text) }
    #expect(ListingXML.error(Array(text.utf8)) == nil)
  }

  @Test(arguments: [
    "<Other/>", "<ListBucketResult><Contents/></ListBucketResult>",
    "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
    "<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
    "<ListBucketResult><Contents><Key>a</Key><Size>99999999999999999999</Size></Contents></ListBucketResult>",
    "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%zz</Key><Size>1</Size></Contents></ListBucketResult>",
    "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a%00</Key><Size>1</Size></Contents></ListBucketResult>",
    "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a%4</Key><Size>1</Size></Contents></ListBucketResult>",
    "<ListBucketResult><CommonPrefixes/></ListBucketResult>",
  ]) func incompletePagesAreRefused(_ text: String) {
    let error = #expect(throws: StoreError.self) { try Self.page(text) }
    #expect(error?.kind == .malformed)
  }

  /// Each prefix of a page, and each page with a byte changed, is read or refused.
  @Test func damagedPagesDoNotCrash() {
    let text = Array(
      """
      <?xml version="1.0"?><s:ListBucketResult xmlns:s="x"><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>\
      <Contents><Key>a%20b</Key><Size>5</Size></Contents><!-- c --><CommonPrefixes><Prefix>x&#x2F;</Prefix></CommonPrefixes>\
      </s:ListBucketResult>
      """.utf8)
    for count in 0..<text.count {
      #expect(throws: StoreError.self) { try ListingXML.page(Array(text[..<count]), of: ListQuery()) }
    }
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<20_000 {
      var damaged = text
      for _ in 0...Int.random(in: 0...3, using: &generator) {
        damaged[Int.random(in: 0..<text.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      }
      _ = try? ListingXML.page(damaged, of: ListQuery())
      _ = ListingXML.error(damaged)
    }
  }

  @Test func partsAreRead() throws {
    let text = """
      <ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>2</NextPartNumberMarker>\
      <Part><PartNumber>1</PartNumber><ETag>&quot;e1&quot;</ETag><Size>5</Size></Part>\
      <Part><PartNumber>2</PartNumber><ETag>"e2"</ETag><Size>6</Size></Part></ListPartsResult>
      """
    let (parts, next) = try ListingXML.parts(Array(text.utf8))
    #expect(
      parts == [.init(number: 1, size: 5, etag: "\"e1\""), .init(number: 2, size: 6, etag: "\"e2\"")] && next == "2")
    let body = String(decoding: ListingXML.completion(parts), as: UTF8.self)
    #expect(body.contains("<Part><PartNumber>1</PartNumber><ETag>&quot;e1&quot;</ETag></Part>"))
  }

  @Test func errorsAreRead() {
    let text = "<Error><Code>AccessDenied</Code><Message>no</Message><Region>eu-west-1</Region></Error>"
    #expect(ListingXML.error(Array(text.utf8)) == .init(code: "AccessDenied", message: "no", region: "eu-west-1"))
    let wrapped = "<ErrorResponse><Error><Code>ExpiredToken</Code></Error></ErrorResponse>"
    #expect(ListingXML.error(Array(wrapped.utf8)) == .init(code: "ExpiredToken", message: "", region: nil))
  }
}
