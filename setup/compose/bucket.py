"""Create the environment's bucket in the embedded cloud, which loses it at each restart; wait for the cloud first."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ConnectionError as NoAnswerError

from rebake.config import load_environment

DEADLINE_SECONDS = 120


def main() -> int:
    """Create the bucket, versioned like the real one; return 1 if the cloud does not answer in time."""
    environment = load_environment()
    connection = json.loads(os.environ["AIRFLOW_CONN_AWS_DEFAULT"])
    url = connection["extra"]["endpoint_url"]
    s3: Any = boto3.client(  # its types list the regions that there were when they were made
        "s3",
        region_name=environment.region,
        endpoint_url=url,
        aws_access_key_id=connection["login"],
        aws_secret_access_key=connection["password"],
        config=Config(connect_timeout=5, retries={"max_attempts": 1}),
    )
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
                s3.create_bucket(
                    Bucket=environment.bucket,
                    CreateBucketConfiguration={"LocationConstraint": environment.region},
                )
            break
        except NoAnswerError as error:
            if time.monotonic() > deadline:
                print(f"the embedded cloud does not answer at {url}: see its log ({error})", file=sys.stderr)
                return 1
            time.sleep(1)
    s3.put_bucket_versioning(Bucket=environment.bucket, VersioningConfiguration={"Status": "Enabled"})
    print(f"bucket {environment.bucket} is ready")  # the container's log
    return 0


if __name__ == "__main__":
    sys.exit(main())
