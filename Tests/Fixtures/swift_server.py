"""OpenStack Swift with its S3 API: a server that checks signatures. It ends with the process that started it.

usage: /usr/bin/python3 swift_server.py

Prints its URL, a key and a secret, then "ready". It needs Debian's package python3-swift. All its servers are in this
process, and its files in a temporary folder: nothing of /etc/swift is read.
"""

import os
import shutil
import sys
import tempfile

import eventlet
import eventlet.patcher

eventlet.patcher.monkey_patch(all=False, socket=True, select=True, thread=True)

import eventlet.wsgi
import swift.common.utils

swift.common.utils.HASH_PATH_SUFFIX = b"test"

from swift.common.http_protocol import SwiftHttpProtocol
from swift.common.ring import RingBuilder
from swift.common.utils import NullLogger
from swift.common.wsgi import loadapp

KEY, SECRET = "test:agent", "holdfast-secret"

DEFAULT = """[DEFAULT]
swift_dir = {folder}
log_address = {folder}/no-log
"""

STORAGE = """devices = {folder}/devices
mount_check = false
disable_fallocate = true
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""

PROXY = """[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats s3api tempauth copy slo dlo symlink versioned_writes proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:cache]
paste.filter_factory = swift_server:cache
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
min_segment_size = 1
[filter:tempauth]
use = egg:swift#tempauth
user_test_agent = {secret} .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
rate_limit_under_size = 0
[filter:dlo]
use = egg:swift#dlo
[filter:symlink]
use = egg:swift#symlink
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
"""


class Cache:
    """As much of a memcached as the proxy server asks for."""

    def __init__(self):
        self.values = {}

    def get(self, key, **options):
        return self.values.get(key)

    def set(self, key, value, **options):
        self.values[key] = value

    def delete(self, key, **options):
        self.values.pop(key, None)


def cache(settings, **local):
    shared = Cache()

    def wrap(application):
        def answer(environment, start_response):
            environment["swift.cache"] = shared
            return application(environment, start_response)

        return answer

    return wrap


def make_ring(folder, kind, port):
    builder = RingBuilder(4, 1, 0)
    address = {"ip": "127.0.0.1", "port": port, "replication_ip": "127.0.0.1", "replication_port": port}
    builder.add_dev(dict(address, id=0, device="d", region=1, zone=1, weight=1.0, meta=""))
    builder.rebalance()
    builder.get_ring().save(os.path.join(folder, kind + ".ring.gz"))


def start(listener, folder, kind, text):
    path = os.path.join(folder, kind + ".conf")
    with open(path, "w") as file:
        file.write((DEFAULT + text).format(kind=kind, folder=folder, secret=SECRET))
    application = loadapp(path, global_conf={"log_name": kind})
    eventlet.spawn(
        eventlet.wsgi.server,
        listener,
        application,
        NullLogger(),
        protocol=SwiftHttpProtocol,
        capitalize_response_headers=False,
    )


def main():
    parent = os.getppid()
    folder = tempfile.mkdtemp(prefix="holdfast-swift-")
    try:
        os.makedirs(os.path.join(folder, "devices", "d"))
        kinds = ["account", "container", "object", "proxy"]
        listeners = {kind: eventlet.listen(("127.0.0.1", 0), backlog=128) for kind in kinds}
        for kind in kinds[:3]:
            make_ring(folder, kind, listeners[kind].getsockname()[1])
        for kind in kinds:
            start(listeners[kind], folder, kind, PROXY if kind == "proxy" else STORAGE)
        print("http://127.0.0.1:%d" % listeners["proxy"].getsockname()[1])
        print(KEY)
        print(SECRET)
        print("ready", flush=True)
        while os.getppid() == parent:
            eventlet.sleep(0.5)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
