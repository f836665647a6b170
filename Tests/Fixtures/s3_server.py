"""A moto server for the tests of ObjectStorage; ends with the process that started it.

usage: s3_server.py [signed]

Prints its URL, then, if `signed`, a key and a secret that it checks signatures against, then "ready".
"""

import os
import sys
import threading
import time

os.environ["S3_UPLOAD_PART_MIN_SIZE"] = "1"

import botocore.session
from moto.server import ThreadedMotoServer

POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'


def end_with_parent(parent):
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


def client(service, url):
    session = botocore.session.Session()
    session.set_credentials("testing", "testing")
    return session.create_client(service, region_name="us-east-1", endpoint_url=url)


def make_user(url):
    iam = client("iam", url)
    iam.create_user(UserName="agent")
    iam.put_user_policy(UserName="agent", PolicyName="all", PolicyDocument=POLICY)
    return iam.create_access_key(UserName="agent")["AccessKey"]


def main():
    threading.Thread(target=end_with_parent, args=(os.getppid(),), daemon=True).start()
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    url = "http://127.0.0.1:%d" % server.get_host_and_port()[1]
    print(url)
    if sys.argv[1:] == ["signed"]:
        client("s3", url).create_bucket(Bucket="signed")
        key = make_user(url)
        from moto.core import set_initial_no_auth_action_count
        from moto.core.authorization import ActionAuthenticatorMixin

        ActionAuthenticatorMixin.request_count = 0
        import moto.settings

        moto.settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
        print(key["AccessKeyId"])
        print(key["SecretAccessKey"])
    print("ready", flush=True)
    threading.Event().wait()


main()
