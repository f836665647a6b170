#!/usr/bin/env python3
"""Restore a backup without Holdfast (docs/reference/format.md as a program).  usage: recover.py --backup-dir DIR ID OUT

DIR is a backup folder, or a copy of a target's prefix (rclone copy, aws s3 sync) with one repository in it. Needs Python 3.9 and, if the backup is encrypted, the package `cryptography`. The password comes from the variable
BACKUP_ENCRYPTION_PASSWORD, the path of a key file from BACKUP_ENCRYPTION_KEY_FILE. OUT must not exist; it appears
only if every check has passed: checksum, header CRC and MAC, segments, trailer, gzip CRCs, sizes, and that each
parent is the one from which its child was created; all but the page digest itself, which needs XXH3. Exit codes: 0
done, 1 failed, 3 damaged, 4 no such backup, 5 wrong or no key, 64 usage."""
import hashlib, hmac, itertools, json, os, re, resource, struct, sys, tempfile, zlib
try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers import Cipher, aead, algorithms, modes
except ImportError: aead = None

MAGIC, KINDS = b"\x89HFA\r\n\x1a\n", {"db": 1, "pages": 2, "tar": 3}
SEGMENT, TAG, HEADER_MAX = 65536, 16, 16 << 20       # plaintext of a segment, AES-GCM tag, longest header read
FAILED, DAMAGED, NO_POINT, WRONG_KEY, USAGE = 1, 3, 4, 5, 64

class Stop(Exception): """The end of the attempt: an exit code and the reason."""
def need(condition, why, code=DAMAGED):
    if not condition: raise Stop(code, why)
    return condition
def warn(text): print(f"recover.py: warning: {text}", file=sys.stderr)
def number(data): return int.from_bytes(data, "big")
def pieces(file): return iter(lambda: file.read(SEGMENT), b"")
def kind_of(name): return KINDS[name.split(".")[1]]
def plausible(data, name): return data[257:262] == b"ustar" if ".tar" in name else data.startswith(b"SQLite format 3\0")
def take(file, count):
    data = file.read(count) if 0 <= count <= HEADER_MAX else b""
    need(len(data) == count, "the file ends too early, or a length in it is impossible")
    return data

def hkdf(secret, info, salt=bytes(32)): return hmac.digest(hmac.digest(salt, secret, "sha256"), info + b"\x01", "sha256")
def unseal(key, nonce, sealed, associated=None):     # AES-256-GCM; None if it does not open
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
    if re.fullmatch(rb"\s*[0-9a-fA-F]{64}\s*", raw): raw = bytes.fromhex(raw.decode())
    return password, need(len(raw) == 32 and raw, f"{path} is not a key file: 32 bytes or 64 hexadecimal digits", WRONG_KEY)
def file_key(slots):                                 # content of the first slot that opens; bounds before any cost
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
    raise Stop(WRONG_KEY, "no key slot of this backup opens with the password or key file given")
def fixed_part(file): return (start := take(file, 16)) + take(file, number(start[12:]) - 16)
def read_header(file):                               # (fixed part, file key), CRC and MAC verified
    fixed, slots = fixed_part(file), []
    covered = fixed + take(file, 2)
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
def facts_of(fixed, point, name):                    # the facts of a header's fixed part
    page_size, kind, codec, cipher, _, segment = struct.unpack_from(">IBBBBI", fixed, 48)
    end = 82 + number(fixed[80:82])
    parent = fixed[end + 2:end + 2 + number(fixed[end:end + 2])]
    need(fixed[82:end] == point.encode(), "the header is another backup's: swapped or renamed")
    need(cipher == name.endswith(".enc") and segment == SEGMENT, "cipher or segment size is not known here", FAILED)
    need((codec, kind) == (".gz" in name, kind_of(name)), "the file's name and its header disagree")
    return {"page_size": page_size, "repository": fixed[16:32], "parent": parent.decode("ascii", "replace"),
            "parent_digest": fixed[64:80], "fields": tagged(fixed[end + 2 + len(parent):])}

def gcm_payload(file, size, point, name):            # (facts, generator of the payload), header and trailer verified
    (fixed, key), start = read_header(file), file.tell()
    facts, suffix = facts_of(fixed, point, name), os.pread(file.fileno(), 4, size - 4)
    sealed_size = size - 4 - number(suffix) - start
    count = -(-sealed_size // (SEGMENT + TAG))
    need(number(suffix) <= SEGMENT + TAG and sealed_size >= 0, "the trailer's length is impossible")
    key = hkdf(key, b"holdfast payload v1", hashlib.sha256(fixed).digest())
    trailer = unseal(key, count.to_bytes(11, "big") + b"\x01", os.pread(file.fileno(), number(suffix), start + sealed_size), suffix)
    fields = tagged(need(trailer, "the trailer does not open: truncated, extended or damaged"))
    need([len(fields.get(tag, b"")) for tag in (1, 2, 3, 4, 5)] == [8, 8, 4, 16, 32], "the trailer lacks a field")
    image, payload, pages = (number(fields[tag]) for tag in (1, 2, 3))
    need(sealed_size == payload + TAG * count and count == -(-payload // SEGMENT), "segments and trailer do not agree")
    need(image == (facts["page_size"] * pages if facts["page_size"] else image), "sizes do not agree")
    return facts | {"size": image, "digest": fields[4]}, segments(file, sealed_size, key)
def segments(file, left, key):
    for i in range(-(-left // (SEGMENT + TAG))):
        sealed = file.read(min(SEGMENT + TAG, left - i * (SEGMENT + TAG)))
        yield need(unseal(key, i.to_bytes(11, "big") + b"\0", sealed), f"segment {i} does not open: damaged")
def cbc_payload(file, size, name):                   # only its first bytes can reveal a wrong password
    need(size >= 48 and size % 16 == 0 and kind_of(name) != 2, "neither an aes-256-gcm nor an aes-256-cbc file")
    password = need(secrets()[0], "this is an aes-256-cbc backup: set BACKUP_ENCRYPTION_PASSWORD", WRONG_KEY)
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
def gunzip(blocks):                                  # gzip members one after another; zlib checks their CRCs
    member, image = None, b""
    for block in blocks:
        while block or member and not member.eof and len(image) == SEGMENT:     # zlib may still keep output back
            if member is None or member.eof: member = zlib.decompressobj(31)
            try: image = member.decompress(block, SEGMENT)
            except zlib.error as error: raise Stop(DAMAGED, f"a gzip member is damaged: {error}")
            block = member.unused_data if member.eof else member.unconsumed_tail
            yield image
    need(member and member.eof, "the gzip data ends too early")
def record(path, point):                             # checksum and digest of the point's JSON; it may be gone or broken
    beside = path + ".json" if remote(path) else os.path.join(os.path.dirname(path), ".metadata", point + ".json")
    try:
        with open(beside, "rb") as file: keys = json.load(file)
        return {key: bytes.fromhex(keys[key]) for key in ("checksum", "digest") if keys.get(key)}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError): return {}

def remote(path):                                    # the parts of an archive's name in a target; None in a backup folder
    return re.fullmatch(r"([0-9]{12})-([0-9]{12}|full)-[0-9]{6}-([0-9]+)-([0-9a-f]{16})-(backup_[^-]+)", os.path.basename(path))
def archives(folder):
    """Paths of archives by ID. Those in a copied prefix count if all that they need is there; the one that needs least is first."""
    here = [e.path for e in os.scandir(folder) if re.fullmatch(r"backup_[0-9_]+\.(db|pages|tar)(\.gz)?(\.enc)?", e.name) and e.is_file()]
    there = [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names if remote(name) and not name.endswith(".json")]
    places = {os.path.dirname(os.path.dirname(path)) for path in there}
    need(len(places) < 2, f"{folder} has several repositories: give one of " + ", ".join(map(os.path.dirname, places)), USAGE)
    whole, found = set(), {}
    for path in sorted(there, key=lambda path: remote(path)[1]):
        place, sequence, parent = os.path.dirname(path), remote(path)[1], remote(path)[2]
        if parent == "full" or (place, parent) in whole:
            whole.add((place, sequence))
            found.setdefault(remote(path)[5].split(".")[0], []).append(path)
    for paths in found.values(): paths.sort(key=lambda path: remote(path)[2].replace("full", ""))
    order = [f"{kind}{end}" for kind in KINDS for end in (".gz.enc", ".enc", ".gz", "")]
    for path in sorted(here, key=lambda path: order.index(os.path.basename(path).split(".", 1)[1])):
        found.setdefault(os.path.basename(path).split(".")[0], []).append(path)
    return found

def unpack(file, path, point, out):
    """Writes the payload to `out` and returns its facts; raises Stop unless every check passes."""
    parts, name = remote(path), os.path.basename(path)
    name = parts[5] if parts else name
    known, checksum, encrypted, kind = record(path, point), hashlib.sha256(), name.endswith(".enc"), kind_of(name)
    need(aead or not encrypted, "this backup is encrypted: install the Python package cryptography", FAILED)
    for block in pieces(file): checksum.update(block)
    file.seek(0)
    agrees, size = known.get("checksum", checksum.digest()) == checksum.digest(), os.fstat(file.fileno()).st_size
    need(not parts or (size, checksum.hexdigest()[:16]) == (int(parts[3]), parts[4]), "size or SHA-256 are not those in its name")
    gcm = encrypted and file.peek(8)[:8] == MAGIC
    need(gcm or agrees, "the SHA-256 of the file is not the one in its metadata")
    if not agrees: warn("the metadata's checksum is not the file's; the archive's authentication decides")
    if not gcm and "checksum" not in known: warn(f"{point} has no checksum: nothing proves that the file is as it was stored")
    facts, blocks = {"parent": "", **known}, cbc_payload(file, size, name) if encrypted else pieces(file)
    if gcm: facts, blocks = gcm_payload(file, size, point, name)
    begin, written, limit = b"", 0, facts.get("size") if kind != 2 else None
    for piece in gunzip(blocks) if ".gz" in name else blocks:
        begin, written = begin or piece[:512], written + len(piece)
        need(limit is None or written <= limit, "the image is larger than the trailer says")
        out.write(piece)
    need(limit is None or written == limit, "the image is smaller than the trailer says")
    if kind == 2: return facts if gcm else plain_header(out, point, name)
    need(gcm or "checksum" in known or not written or plausible(begin, name) and written % 512 == 0, "not a whole database")
    return facts
def plain_header(out, point, name):                  # an unencrypted incremental begins with a header of its own
    fixed = out.seek(0) or fixed_part(out)
    need(fixed[:8] == MAGIC and zlib.crc32(fixed) == number(take(out, 4)), "the header's CRC is wrong")
    facts = facts_of(fixed, point, name)
    image = need(facts["fields"].get(10), "the header does not say what it is of")
    return facts | {"size": number(image[:4]) * facts["page_size"], "digest": image[8:], "start": out.tell()}
def apply(image, facts, payload):                    # writes an incremental's pages over the image of its parent
    size, _ = facts["page_size"], payload.seek(facts.get("start", 0))
    pages = list(itertools.accumulate(number(take(payload, 4)) for _ in range(number(take(payload, 4)))))
    need(all(0 < a < b for a, b in zip(pages, pages[1:] + [facts["size"] // size + 1])), "its list of pages is impossible")
    for page in pages:
        image.seek((page - 1) * size)
        image.write(take(payload, size))
    need(not payload.read(1), "something follows its pages")
    image.truncate(facts["size"])
def rebuild(folder, point, image, scratch):
    """Writes the backup's image: the full at the end of its chain of parents, then each incremental over it."""
    child, links, names, known = None, [], [], archives(folder)
    while point:
        found = known.get(point, [])
        need(found, f"no point {point} in {folder}", DAMAGED if child else NO_POINT)
        if found[1:] and not remote(found[0]): warn(f"several files for this point, {os.path.basename(found[0])} is taken")
        need(os.path.basename(found[0]) not in names, "the chain of parents runs in a circle")
        names.append(os.path.basename(found[0]))
        name = remote(found[0])[5] if remote(found[0]) else names[-1]
        out = tempfile.TemporaryFile(dir=scratch) if kind_of(name) == 2 else image
        with open(found[0], "rb") as file: facts = unpack(file, found[0], point, out)
        need(bool(facts["parent"]) == (kind_of(name) == 2), "a full has no parent, and an incremental has one")
        for key, of in ("repository", "repository"), ("digest", "parent_digest"), ("page_size", "page_size"):
            need(not child or facts.get(key, child[of]) == child[of], f"{point} has another {key} than its child was made from")
        if kind_of(name) == 2: links.append((facts, out))
        child, point = facts, facts["parent"]
    for facts, payload in reversed(links): apply(image, facts, payload)
    return names

def recover(folder, point, out):
    for path in (out, out + "-wal", out + "-shm", out + "-journal"):
        need(not os.path.lexists(path), f"{path} exists; nothing is overwritten or mixed with it", FAILED)
    parent, limit = os.path.dirname(os.path.abspath(out)), resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))                  # a long chain needs many files at a time
    image = tempfile.NamedTemporaryFile(dir=parent, prefix=".tmp-recover-", delete=False)
    try:
        with image:
            names = rebuild(folder, point, image, parent)
            image.flush()
            os.fsync(image.fileno())
        os.close(os.open(out, os.O_CREAT | os.O_EXCL, 0o600))     # unlike a rename alone, never takes an existing name
        os.replace(image.name, out)
        os.fsync(os.open(parent, os.O_RDONLY))
    finally:
        if os.path.exists(image.name): os.unlink(image.name)
    print(f"{out}: restored from {', '.join(names)}; every check passed that needs no XXH3")

if __name__ == "__main__":
    try:
        need(len(sys.argv) == 5 and sys.argv[1] == "--backup-dir", __doc__, USAGE)
        need(re.fullmatch(r"backup_[0-9]{8}_[0-9]{6}(_[0-9]{3,17})?", sys.argv[3]), "that is not a point's ID", USAGE)
        recover(*sys.argv[2:])
    except Stop as stop: sys.exit(print(f"recover.py: error: {stop.args[1]}", file=sys.stderr) or stop.args[0])
    except OSError as error: sys.exit(f"recover.py: error: {error}")
