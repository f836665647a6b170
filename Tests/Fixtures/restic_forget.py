"""Lists the snapshots that `restic forget --dry-run` keeps of several series, with the reasons.

`restic backup` takes a second for each snapshot, so the snapshots are written here, in the format of restic's design
document (repository version 1); restic itself reads them, sorts them and decides. Each series is a host of its own, so
that one run of restic decides on all of them.

Reads from standard input {"zone", "series": [[{"time": seconds, "tags": [...]}]], "policies": [[flag, ...]]};
writes {"version", "answers": [policy: [series: {time: [reason]}]]}; a time is present if restic keeps the snapshot.
"""
import base64, datetime, hashlib, json, os, subprocess, sys, tempfile, zoneinfo

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

PASSWORD = "x"
RESTIC = os.environ.get("HOLDFAST_RESTIC") or "restic"


def restic(folder, zone, *arguments):
    environment = dict(os.environ, RESTIC_PASSWORD=PASSWORD, TZ=zone, RESTIC_REPOSITORY=folder)
    done = subprocess.run([RESTIC, "--no-cache", *arguments], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"restic {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def sealed(keys, plain):
    """AES-256-CTR, then Poly1305-AES."""
    nonce = os.urandom(16)
    encryptor = Cipher(algorithms.AES(base64.b64decode(keys["encrypt"])), modes.CTR(nonce)).encryptor()
    text = encryptor.update(plain) + encryptor.finalize()
    block = Cipher(algorithms.AES(base64.b64decode(keys["mac"]["k"])), modes.ECB()).encryptor()
    one_time = base64.b64decode(keys["mac"]["r"]) + block.update(nonce) + block.finalize()
    return nonce + text + Poly1305.generate_tag(one_time, text)


def store(folder, kind, content):
    name = hashlib.sha256(content).hexdigest()
    with open(os.path.join(folder, kind, name), "wb") as file:
        file.write(content)


def quick_key(folder, keys):
    """A second key for the same password; its derivation does not take half a second in each run."""
    salt = os.urandom(64)
    derived = hashlib.scrypt(PASSWORD.encode(), salt=salt, n=16, r=8, p=1, dklen=64)
    own = {"encrypt": base64.b64encode(derived[:32]), "mac": {
        "k": base64.b64encode(derived[32:48]), "r": base64.b64encode(derived[48:])}}
    for name in os.listdir(os.path.join(folder, "keys")):
        os.unlink(os.path.join(folder, "keys", name))
    store(folder, "keys", json.dumps({
        "created": "2020-01-01T00:00:00Z", "username": "x", "hostname": "x", "kdf": "scrypt", "N": 16, "r": 8, "p": 1,
        "salt": base64.b64encode(salt).decode(), "data": base64.b64encode(sealed(own, json.dumps(keys).encode())).decode(),
    }).encode())


def main():
    question = json.load(sys.stdin)
    zone = zoneinfo.ZoneInfo(question["zone"])
    with tempfile.TemporaryDirectory(prefix="holdfast-restic-") as folder:
        restic(folder, question["zone"], "init", "--repository-version", "1")
        keys = json.loads(restic(folder, question["zone"], "cat", "masterkey"))
        quick_key(folder, keys)
        for number, series in enumerate(question["series"]):
            for snapshot in series:
                time = datetime.datetime.fromtimestamp(snapshot["time"], zone)
                store(folder, "snapshots", sealed(keys, json.dumps({
                    "time": time.isoformat(), "tree": "0" * 64, "paths": ["/x"], "hostname": f"series-{number}",
                    "username": "x", "tags": snapshot["tags"] or None}).encode()))
        answers = []
        for policy in question["policies"]:
            groups = json.loads(restic(
                folder, question["zone"], "forget", "--no-lock", "--dry-run", "--json", "--group-by", "host", *policy))
            answer = [{} for _ in question["series"]]
            for group in groups:
                kept = answer[int(group["host"].removeprefix("series-"))]
                for reason in group["reasons"] or []:
                    time = datetime.datetime.fromisoformat(reason["snapshot"]["time"].replace("Z", "+00:00"))
                    kept[str(int(time.timestamp()))] = reason["matches"]
            answers.append(answer)
        json.dump({"version": restic(folder, question["zone"], "version").split()[1], "answers": answers}, sys.stdout)


main()
