"""Signs requests with botocore: one line of JSON a request on standard input, one `Authorization` header a line."""

import datetime
import json
import sys

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def sign(case):
    moment = datetime.datetime.fromtimestamp(case["time"], datetime.timezone.utc)
    botocore.auth.get_current_datetime = lambda remove_tzinfo=True: moment
    headers = {name: value for name, value in case["headers"]}
    headers["X-Amz-Content-SHA256"] = case["sha256"]
    request = AWSRequest(
        method=case["method"],
        url="https://" + case["host"] + case["path"],
        params=[tuple(pair) for pair in case["query"]],
        headers=headers,
    )
    credentials = Credentials(case["key"], case["secret"], case.get("token"))
    signer = botocore.auth.S3SigV4Auth(credentials, "s3", case["region"])
    # It sets this header from the body, which is not here.
    signer.payload = lambda request: case["sha256"]
    signer.add_auth(request)
    return request.headers["Authorization"]


for line in sys.stdin:
    print(sign(json.loads(line)))
