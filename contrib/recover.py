#!/usr/bin/env python3
"""Restore a point without Holdfast (FORMAT.md as a program).  usage: recover.py --backup-dir DIR ID OUT

Needs Python 3.9 and, for encrypted points, the package `cryptography`. The password is read from the variable
BACKUP_ENCRYPTION_PASSWORD, the path of a key file from BACKUP_ENCRYPTION_KEY_FILE. OUT must not exist; it appears only
when every check has passed: checksum, header CRC and MAC, segments, trailer, gzip CRCs, index, sizes; all but the page
digest, which needs XXH3. Exit codes: 0 done, 1 failed, 3 damaged, 4 no such point, 5 wrong or no key, 64 usage."""
import hashlib, hmac, json, os, re, struct, sys, tempfile, zlib
try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers import Cipher, aead, algorithms, modes
except ImportError: aead = None

MAGIC = b"\x89HFA\r\n\x1a\n"
SEGMENT, TAG, HEADER_MAX = 65536, 16, 16 << 20       # plaintext of a segment, AES-GCM tag, longest header read
FAILED, DAMAGED, NO_POINT, WRONG_KEY, USAGE = 1, 3, 4, 5, 64

class Stop(Exception): """The end of the attempt: an exit code and why."""
def need(condition, why, code=DAMAGED):
    if not condition: raise Stop(code, why)
    return condition
def warn(text): print(f"recover.py: warning: {text}", file=sys.stderr)
def number(data): return int.from_bytes(data, "big")
def pieces(file): return iter(lambda: file.read(SEGMENT), b"")
def plausible(data, name): return data[257:262] == b"ustar" if ".tar" in name else data.startswith(b"SQLite format 3\0")
def take(file, count):
    data = file.read(count) if 0 <= count <= HEADER_MAX else b""
    need(len(data) == count, "the file ends too early, or a length in it is impossible")
    return data

def hkdf(secret, info, salt=bytes(32)):              # HKDF-SHA256 (RFC 5869) with one block out
    return hmac.digest(hmac.digest(salt, secret, "sha256"), info + b"\x01", "sha256")
def unseal(key, nonce, sealed, associated=None):     # AES-256-GCM; None where it does not open
    try: return aead.AESGCM(key).decrypt(nonce, sealed, associated) if len(sealed) >= TAG else None
    except InvalidTag: return None

def tagged(data):                                    # the fields of tag (2), length (4), bytes that fill `data`
    fields = {}
    while data:
        end = 6 + number(data[2:6])
        need(6 <= len(data) >= end, "a tagged field is cut off")
        fields[number(data[:2])], data = data[6:end], data[end:]
    return fields

def secrets():                                       # (password or None, key file's key or None)
    password, path = os.environb.get(b"BACKUP_ENCRYPTION_PASSWORD"), os.environ.get("BACKUP_ENCRYPTION_KEY_FILE")
    need(password or path, "set BACKUP_ENCRYPTION_PASSWORD or BACKUP_ENCRYPTION_KEY_FILE", WRONG_KEY)
    if not path: return password, None
    with open(path, "rb") as file: raw = file.read(4096)
    is_text = re.fullmatch(rb"\s*[0-9a-fA-F]{64}\s*", raw)
    need(len(raw) == 32 or is_text, f"{path} is not a key file: 32 bytes or 64 hexadecimal digits", WRONG_KEY)
    return password, bytes.fromhex(raw.decode()) if is_text else raw

def file_key(slots):
    """What the first slot that opens holds. Rounds out of bounds are refused before they cost anything."""
    password, key = secrets()
    for kind, body in slots:
        need(len(body) == {1: 80, 2: 60}.get(kind, len(body)), "a key slot has the wrong size")
        wrapping, rounds = None, number(body[:4])
        need(kind != 1 or 10_000 <= rounds <= 10_000_000, f"{rounds} rounds of key derivation are out of bounds")
        if kind == 1 and password:
            wrapping = hkdf(hashlib.pbkdf2_hmac("sha256", password, body[4:20], rounds), b"holdfast password slot v1")
        elif kind == 2 and key: wrapping = hkdf(key, b"holdfast key file slot v1")
        opened = wrapping and unseal(wrapping, body[-60:-48], body[-48:])
        if opened: return opened
    raise Stop(WRONG_KEY, "no key slot of this point opens with the password or key file given")

def read_header(file):
    """(fixed part, file key), CRC and MAC proved; leaves the file at the first segment."""
    fixed = take(file, 16)
    fixed += take(file, number(fixed[12:]) - 16)
    covered, slots = fixed + take(file, 2), []
    for _ in range(number(covered[-2:])):
        start = take(file, 4)
        slots.append((start[0], take(file, number(start[2:]))))
        covered += start + slots[-1][1]
        need(len(covered) <= HEADER_MAX, "the header is longer than any header")
    need(len(fixed) >= 84 and number(crc := take(file, 4)) == zlib.crc32(covered), "the header's CRC is wrong")
    need(number(fixed[8:10]) == 1, "this version of the format is newer than this program", FAILED)
    key = file_key(slots)
    mac = hmac.digest(hkdf(key, b"holdfast header mac v1"), covered + crc, "sha256")
    need(hmac.compare_digest(mac, take(file, 32)), "the header's MAC is wrong: forged or damaged")
    return fixed, key

def gcm_payload(file, size, point, name):
    """(image size, member index, generator of the payload) of an aes-256-gcm file, header and trailer proved."""
    (fixed, key), start = read_header(file), file.tell()
    need(fixed[82:82 + number(fixed[80:82])] == point.encode(), "the header is another point's: swapped or renamed")
    page_size, kind, codec, cipher, _, segment = struct.unpack_from(">IBBBBI", fixed, 48)
    need(kind in (1, 3) and (cipher, segment) == (1, SEGMENT), "kind, cipher or segment size is not known here", FAILED)
    need((codec, kind) == (".gz" in name, 3 if ".tar" in name else 1), "the file's name and its header disagree")
    suffix = os.pread(file.fileno(), 4, size - 4)
    sealed_size = size - 4 - number(suffix) - start
    count = -(-sealed_size // (SEGMENT + TAG))
    need(number(suffix) <= SEGMENT + TAG and sealed_size >= 0, "the trailer's length is impossible")
    sealed = os.pread(file.fileno(), number(suffix), start + sealed_size)
    key = hkdf(key, b"holdfast payload v1", hashlib.sha256(fixed).digest())
    trailer = unseal(key, count.to_bytes(11, "big") + b"\x01", sealed, suffix)
    fields = tagged(need(trailer, "the trailer does not open: truncated, extended or damaged"))
    need([len(fields.get(tag, b"")) for tag in (1, 2, 3, 4, 5)] == [8, 8, 4, 16, 32], "the trailer lacks a field")
    image, payload, pages = (number(fields[tag]) for tag in (1, 2, 3))
    need(sealed_size == payload + TAG * count and count == -(-payload // SEGMENT), "segments and trailer do not agree")
    need(image == (page_size * pages if page_size else image) and (codec or image == payload), "sizes do not agree")
    index = fields.get(6, b"") if codec else b""
    need(not index or len(index) % 8 == 4 and number(index[:4]), "the member index is impossible")
    return image, index and struct.unpack(f">I{len(index) // 8}Q", index), segments(file, sealed_size, key)

def segments(file, left, key):
    for i in range(-(-left // (SEGMENT + TAG))):
        sealed = file.read(min(SEGMENT + TAG, left - i * (SEGMENT + TAG)))
        yield need(unseal(key, i.to_bytes(11, "big") + b"\0", sealed), f"segment {i} does not open: damaged")

def cbc_payload(file, size, name):
    """The payload of an aes-256-cbc file. Only its first bytes can tell a wrong password."""
    need(size >= 48 and size % 16 == 0, "neither an aes-256-gcm nor an aes-256-cbc file")
    password = need(secrets()[0], "this is an aes-256-cbc point: set BACKUP_ENCRYPTION_PASSWORD", WRONG_KEY)
    key = hashlib.pbkdf2_hmac("sha256", password, take(file, 16), 100_000)
    cipher, last = Cipher(algorithms.AES(key), modes.CBC(take(file, 16))).decryptor(), b""
    for block in pieces(file):
        plain = last + cipher.update(block)
        need(last or plain == b"\x10" * 16 or (plain[:2] == b"\x1f\x8b" if ".gz" in name else plausible(plain, name)),
             "wrong password, or the beginning of the file is damaged", WRONG_KEY)
        yield plain[:-16]
        last = plain[-16:]
    need(1 <= last[-1] <= 16 and last.endswith(last[-1:] * last[-1]), "the padding is wrong: damaged")
    yield last[:-last[-1]]

def gunzip(blocks, index):
    """Inflates gzip members one after another; zlib checks their CRCs. With an index, checks its offsets too."""
    member, image, offset, count, starts = None, b"", 0, 0, []
    for block in blocks:
        while block or member and not member.eof and len(image) == SEGMENT:     # zlib may still hold output back
            if member is None or member.eof:
                if index and count % index[0] == 0: starts.append(offset)
                member, count = zlib.decompressobj(31), count + 1
            try: image = member.decompress(block, SEGMENT)
            except zlib.error as error: raise Stop(DAMAGED, f"gzip member {count} is damaged: {error}")
            left = member.unused_data if member.eof else member.unconsumed_tail
            offset, block = offset + len(block) - len(left), left
            yield image
    need(member and member.eof, "the gzip data ends too early")
    need(not index or starts == list(index[1:]), "the member index is not that of the members")

def checksum_agrees(file, folder, point):
    """Whether the SHA-256 in the point's JSON is the file's; None where there is none: it may be gone or broken."""
    try:
        with open(os.path.join(folder, ".metadata", point + ".json"), "rb") as record:
            expected, digest = json.loads(record.read(HEADER_MAX))["checksum"].lower(), hashlib.sha256()
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError): return None
    for block in pieces(file): digest.update(block)
    return digest.hexdigest() == expected

def image_of(file, name, folder, point):
    """Yields the database in pieces; raises Stop, at the last piece at the latest, unless every check passes."""
    agrees, compressed, encrypted = checksum_agrees(file, folder, point), ".gz" in name, name.endswith(".enc")
    need(aead or not encrypted, "this point is encrypted: install the Python package cryptography", FAILED)
    file.seek(0)
    gcm, size, written, begin = encrypted and file.peek(8)[:8] == MAGIC, os.fstat(file.fileno()).st_size, 0, b""
    need(gcm or agrees is not False, "the SHA-256 of the file is not the one in its metadata")
    if gcm and agrees is False: warn("the metadata's checksum is not the file's; the archive's authentication decides")
    total, index, blocks = None, (), cbc_payload(file, size, name) if encrypted else pieces(file)
    if gcm: total, index, blocks = gcm_payload(file, size, point, name)
    for piece in gunzip(blocks, index) if compressed else blocks:
        begin, written = begin or piece[:512], written + len(piece)
        need(total is None or written <= total, "the image is larger than the trailer says")
        yield piece
    need(total is None or written == total, "the image is smaller than the trailer says")
    if agrees or gcm: return
    warn("the metadata has no checksum: nothing proves that the file is as it was stored")
    need(not written or plausible(begin, name) and written % 512 == 0, "this is not a whole database")

def recover(folder, point, out):
    names = (point + kind + end for kind in (".db", ".tar") for end in (".gz.enc", ".enc", ".gz", ""))
    names = [name for name in names if os.path.isfile(os.path.join(folder, name))]
    need(names, f"no point {point} in {folder}", NO_POINT)
    for path in (out, out + "-wal", out + "-shm", out + "-journal"):
        need(not os.path.lexists(path), f"{path} exists; nothing is overwritten or mixed with it", FAILED)
    if names[1:]: warn(f"several files for this point, {names[0]} is taken")
    parent = os.path.dirname(os.path.abspath(out))
    image = tempfile.NamedTemporaryFile(dir=parent, prefix=".tmp-recover-", delete=False)
    try:
        with open(os.path.join(folder, names[0]), "rb") as file, image:
            for piece in image_of(file, names[0], folder, point): image.write(piece)
            image.flush()
            os.fsync(image.fileno())
        os.close(os.open(out, os.O_CREAT | os.O_EXCL, 0o600))     # unlike a rename alone, never takes an existing name
        os.replace(image.name, out)
        os.fsync(os.open(parent, os.O_RDONLY))
    finally:
        if os.path.exists(image.name): os.unlink(image.name)
    print(f"{out}: restored from {names[0]}; every check passed that needs no XXH3")

if __name__ == "__main__":
    try:
        need(len(sys.argv) == 5 and sys.argv[1] == "--backup-dir", __doc__, USAGE)
        need(re.fullmatch(r"backup_[0-9]{8}_[0-9]{6}(_[0-9]{3,17})?", sys.argv[3]), "that is not a point's ID", USAGE)
        recover(*sys.argv[2:])
    except Stop as stop: sys.exit(print(f"recover.py: error: {stop.args[1]}", file=sys.stderr) or stop.args[0])
    except OSError as error: sys.exit(f"recover.py: error: {error}")
