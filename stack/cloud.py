"""The embedded cloud, as a process of this clone, and AWS clients for it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import requests
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

from rebake.exceptions import ConfigError
from stack.errors import InputError, StackError
from stack.layout import Layout
from stack.processes import Process, stop
from stack.settings import PERSONS_KEY, REGION, ROOT_KEYS, Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Cloud:
    """The embedded cloud of one clone.

    Args:
        layout: The clone.
        settings: Its port and network.
    """

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self.layout = layout
        self.settings = settings
        self.process = Process(layout, "localcloud")

    def answers(self) -> bool:
        """Return whether it answers, and is this clone's."""
        try:
            health = requests.get(f"{self.settings.cloud_url}/_localcloud/health", timeout=5)
        except requests.RequestException:
            return False
        return health.ok and bool(health.json()["name"] == self.layout.clone_id)

    def enforces(self) -> bool:
        """Return whether it evaluates policies."""
        health = requests.get(f"{self.settings.cloud_url}/_localcloud/health", timeout=5)
        return bool(health.json()["iam"] == "enforced")

    def start(self, engine_url: str, os_image: str) -> None:
        """Start it and wait until it answers; one that runs and does not answer is stopped first.

        Raises:
            StackError: it ends, or does not answer within a minute.
        """
        stop([self.process])
        command = [
            *(str(self.layout.venv_python), "-m", "localcloud"),
            *("--port", str(self.settings.cloud_port), "--engine", engine_url, "--os-image", os_image),
            *("--name", self.layout.clone_id, "--network-cidr", self.settings.network_cidr, "--region", REGION),
        ]
        if os.environ.get("ENFORCE"):
            command += ["--enforce-iam", *(part for key in ROOT_KEYS for part in ("--root-key", f"{key}:{key}"))]
        self.process.start(command, python_environment(self.layout))
        deadline = time.monotonic() + 60
        while not self.answers():
            self.process.require()
            if time.monotonic() > deadline:
                raise StackError(
                    f"the embedded cloud does not answer at {self.settings.cloud_url}:\n{self.process.tail()}"
                )
            time.sleep(0.1)

    def make_bucket(self, bucket: str) -> None:
        """Make the bucket that the environment names, versioned as the real one is."""
        s3: S3Client = self.client("s3")
        with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    def client(self, service: str, access_key: str = PERSONS_KEY) -> Any:
        """Return a boto3 client of the embedded cloud, whose request log names the access key."""
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.settings.cloud_url,
            region_name=REGION,
            aws_access_key_id=access_key,
            aws_secret_access_key=access_key,
            config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
        )


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Report a failed read of the embedded cloud, or of the configuration, as one of the commands' errors.

    Raises:
        InputError: the configuration, or what was requested by name, is wrong.
        StackError: the embedded cloud does not run, or fails.
    """
    try:
        yield
    except ConfigError as error:
        raise InputError(str(error)) from error
    except EndpointConnectionError as error:
        raise StackError("the embedded cloud does not run here: `make up` starts it") from error
    except (BotoCoreError, ClientError) as error:
        raise StackError(f"the embedded cloud failed: {error}") from error


def python_environment(layout: Layout) -> dict[str, str]:
    """Return this process's environment for a Python program of ours, without settings of AWS, Airflow or Terraform."""
    kept = {
        name: value
        for name, value in os.environ.items()
        # Compiled modules halve the time that Airflow takes to start.
        if not name.startswith(("AWS_", "AIRFLOW_", "TF_")) and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {
        **kept,
        "PYTHONPATH": f"{layout.project / 'plugins'}:{layout.project}",
        "PYTHONUNBUFFERED": "1",
        "PATH": f"{layout.shared / 'bin'}:{layout.venv_python.parent}:{os.environ['PATH']}:/usr/sbin:/sbin",
    }
