"""Copies the archives of a repository to a folder with the names that a target has.

usage: target_copy.py BACKUPS TARGET
"""

import glob
import hashlib
import json
import os
import sys


def main(backups, target):
    points = {}
    for path in glob.glob(f"{backups}/.metadata/backup_*.json"):
        with open(path) as file:
            point = json.load(file)
        points[point["backup_id"]] = point
    for point in points.values():
        with open(f"{backups}/{point['filename']}", "rb") as file:
            data = file.read()
        is_full = point["kind"] == "full"
        chain = point["sequence"] if is_full else points[point["chain_id"]]["sequence"]
        parent = "full" if is_full else "%012d" % points[point["parent_id"]]["sequence"]
        digest = hashlib.sha256(data).hexdigest()[:16]
        folder = f"{target}/{point['repository_id']}/points/{chain:012d}"
        os.makedirs(folder, exist_ok=True)
        name = f"{point['sequence']:012d}-{parent}-000001-{len(data)}-{digest}-{point['filename']}"
        with open(f"{folder}/{name}", "wb") as file:
            file.write(data)


main(*sys.argv[1:])
