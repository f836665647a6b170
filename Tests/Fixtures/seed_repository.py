#!/usr/bin/env python3
"""Create a backup directory in the form of the original Python service, for the tests that read such directories.

usage: seed_repository.py DATABASE BACKUP_DIR PASSWORD POINT...
       seed_repository.py DATABASE BACKUP_DIR PASSWORD --demo N

A POINT is an ID with options: backup_20231116_143022:enc,gz,naive
  enc      aes-256-cbc: salt (16), IV (16), AES-256-CBC with PKCS#7; PBKDF2-HMAC-SHA256, 100,000 rounds
  gz       one ordinary gzip stream of level 6
  naive    dates as datetime.isoformat() writes them: microseconds, no zone
  bare     every optional field null or empty, never verified
  failed   its verification failed
  nojson   no metadata file
--demo creates N backups a day apart in all combinations. Salt and IV are derived from the ID, so two runs give the
same bytes. Prints a JSON array: id, filename, sha256 of the database image and of the file.
Needs the Python package `cryptography`.
"""
import datetime, gzip, hashlib, io, json, os, shutil, sqlite3, sys, tempfile

from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

OPTIONS = {"enc", "gz", "naive", "bare", "failed", "nojson"}
DEMO = ["enc,gz", "gz", "enc", "", "enc,gz,naive", "enc,gz,bare", "gz,failed"]


def image_of(database):
    """Reads the database through SQLite's backup API, as bytes."""
    folder = tempfile.mkdtemp()
    try:
        path = os.path.join(folder, "copy.db")
        source, copy = sqlite3.connect(database), sqlite3.connect(path)
        source.backup(copy)
        copy.close()
        source.close()
        with open(path, "rb") as file:
            return file.read()
    finally:
        shutil.rmtree(folder)


def compress(image, name, moment):
    out = io.BytesIO()
    with gzip.GzipFile(name, "wb", 6, out, moment.timestamp()) as stream:
        stream.write(image)
    return out.getvalue()


def encrypt(data, password, name):
    salt, iv = hashlib.sha256(b"salt" + name.encode()).digest()[:16], hashlib.md5(name.encode()).digest()
    key = PBKDF2HMAC(hashes.SHA256(), 32, salt, 100_000).derive(password.encode())
    padder, cipher = padding.PKCS7(128).padder(), Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return salt + iv + cipher.update(padder.update(data) + padder.finalize()) + cipher.finalize()


def date(moment, naive):
    if naive:
        return moment.replace(microsecond=123456, tzinfo=None).isoformat()
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def row_counts(database):
    connection = sqlite3.connect(database)
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name").fetchall()
    counts = {name: connection.execute('SELECT count(*) FROM "%s"' % name.replace('"', '""')).fetchone()[0]
              for name, in names}
    connection.close()
    return counts


def metadata(point, options, filename, moment, image, data, counts):
    bare, failed, naive = "bare" in options, "failed" in options, "naive" in options
    checked = moment + datetime.timedelta(minutes=5)
    return {
        "backup_id": point,
        "filename": filename,
        "created_at": date(moment, naive),
        "backup_type": "scheduled" if naive else "manual",
        "status": "failed" if failed else "completed" if bare else "verified",
        "original_size": len(image),
        "compressed_size": len(data),
        "encrypted": "enc" in options,
        "compressed": "gz" in options,
        "checksum": hashlib.sha256(data).hexdigest(),
        "checksum_algorithm": "sha256",
        "schema_version": None if bare else "93d218e8012f",
        "table_counts": {} if bare else counts,
        "total_records": 0 if bare else sum(counts.values()),
        "description": None if bare else f"point with {'+'.join(sorted(options)) or 'no options'}: “{point}”",
        "tags": [] if bare else ["production", "pre-deployment", "grün", "with, comma"],
        "verified": not (bare or failed),
        "verification_date": None if bare else date(checked, naive),
        "verification_errors": ["checksum mismatch"] if failed else [],
    }


def store(folder, point, options, password, image, counts):
    moment = datetime.datetime.strptime(point[7:22], "%Y%m%d_%H%M%S").replace(tzinfo=datetime.timezone.utc)
    filename, data = point + ".db", image
    if "gz" in options:
        data = compress(data, filename, moment)
        filename += ".gz"
    if "enc" in options:
        data = encrypt(data, password, point)
        filename += ".enc"
    with open(os.path.join(folder, filename), "wb") as file:
        file.write(data)
    if "nojson" not in options:
        with open(os.path.join(folder, ".metadata", point + ".json"), "w") as file:
            json.dump(metadata(point, options, filename, moment, image, data, counts), file, indent=2)
    return {"id": point, "filename": filename, "image_sha256": hashlib.sha256(image).hexdigest(),
            "checksum": hashlib.sha256(data).hexdigest()}


def demo(count):
    first = datetime.datetime(2023, 11, 1, 2, 0, 0)
    for number in range(count):
        moment = first + datetime.timedelta(days=number)
        yield moment.strftime("backup_%Y%m%d_%H%M%S:") + DEMO[number % len(DEMO)]


def main(arguments):
    if len(arguments) < 4 or (arguments[3] == "--demo" and len(arguments) != 5):
        sys.exit(__doc__)
    database, folder, password = arguments[:3]
    points = demo(int(arguments[4])) if arguments[3] == "--demo" else arguments[3:]
    os.makedirs(os.path.join(folder, ".metadata"), exist_ok=True)
    image, counts, stored = image_of(database), row_counts(database), []
    for text in points:
        point, _, names = text.partition(":")
        options = set(filter(None, names.split(",")))
        if options - OPTIONS:
            sys.exit(f"seed_repository.py: unknown option in {text}")
        stored.append(store(folder, point, options, password, image, counts))
    json.dump(stored, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main(sys.argv[1:])
