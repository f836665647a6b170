"""Holdfast and its peers: how each makes a full backup of a database, and how it restores it.

A command is a list, or a text for bash, with {db} the database, {work} a fresh folder, {out} the place of the backup
below it, {back} the file to restore to, {holdfast} the binary.
"""
import os
from dataclasses import dataclass

SNAPSHOT = "sqlite3 {db} '.backup {work}/copy.db'"
OPENSSL = "openssl enc -aes-256-cbc -pbkdf2 -iter 100000 -salt -pass pass:bench"


@dataclass
class Tool:
    name: str
    backup: object
    restore: object
    setup: object = None            # untimed, before the backup
    before_restore: object = None   # untimed, after the backup
    programs: tuple = ()            # must be in PATH
    own_copy: bool = False          # writes beside the database: gets a copy of it


def holdfast(name, secret, **more):
    """Holdfast with a key file or a password; `environment` has the place of either."""
    options = ["--database", "{db}", "--backup-dir", "{out}"]
    init = ["{holdfast}", "init", "--key-file", "{work}/key"] if secret == "key file" else None
    create = ["{holdfast}", "create", "--encrypt", "--compress", *options]
    restore = ["{holdfast}", "restore", "latest", "--to", "{back}", "--yes", *options]
    return Tool(name, create, restore, setup=init, **more)


def through(name, forward, backward, programs, setup=None):
    """A peer that is a pipeline behind sqlite3's own backup."""
    backup = f"{SNAPSHOT} && {forward} && rm {{work}}/copy.db"
    return Tool(name, backup, backward, setup, programs=("sqlite3", *programs))


VERIFY = ["{holdfast}", "verify", "latest", "--database", "{db}", "--backup-dir", "{out}"]
HOLDFAST = [
    holdfast("holdfast (key file)", "key file", before_restore=VERIFY),
    holdfast("holdfast (password)", "password", before_restore=VERIFY),
    holdfast("holdfast (not checked before)", "key file"),
]
PEERS = [
    Tool("cp", "cp {db} {out}", "cp {out} {back}"),
    Tool(".backup", "sqlite3 {db} '.backup {out}'", "sqlite3 {back} '.restore {out}'", programs=("sqlite3",)),
    through(".backup + gzip -6 + openssl", f"gzip -6 < {{work}}/copy.db | {OPENSSL} > {{out}}",
            f"{OPENSSL} -d < {{out}} | gzip -d > {{back}}", ("gzip", "openssl")),
    through(".backup + zstd -3 -T2 + age",
            "zstd -q -3 -T2 < {work}/copy.db | age -R {work}/public > {out}",
            "age -d -i {work}/identity {out} | zstd -q -d > {back}", ("zstd", "age", "age-keygen"),
            "age-keygen -o {work}/identity 2>/dev/null && age-keygen -y {work}/identity > {work}/public"),
    through("restic", "restic -q -r {out} backup {work}/copy.db",
            "restic -q -r {out} dump latest {work}/copy.db > {back}", ("restic",), "restic -q -r {out} init"),
    through("borg", "cd {work} && borg create {out}::one copy.db", "borg extract --stdout {out}::one > {back}",
            ("borg",), "borg init -e repokey-blake2 {out}"),
    Tool("litestream (not encrypted)", "litestream replicate -log-level error -once {db} file://{out}",
         "litestream restore -o {back} file://{out}", programs=("litestream",), own_copy=True),
]


def environment(tool, work):
    """The tool's environment: only its own settings, all state below `work`."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYENV_ROOT") if name in os.environ}
    if "password" in tool.name:
        kept["BACKUP_ENCRYPTION_PASSWORD"] = "bench"
    elif tool.name.startswith("holdfast"):
        kept["BACKUP_ENCRYPTION_KEY_FILE"] = f"{work}/key"
    return kept | {
        "XDG_STATE_HOME": f"{work}/state", "XDG_CONFIG_HOME": f"{work}/config", "RESTIC_PASSWORD": "bench",
        "RESTIC_CACHE_DIR": f"{work}/cache", "BORG_PASSPHRASE": "bench", "BORG_BASE_DIR": f"{work}/borg",
    }
