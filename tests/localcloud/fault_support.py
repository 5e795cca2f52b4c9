"""The embedded cloud's API in this process, over real HTTP, without a container engine."""

import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import boto3
from botocore.config import Config
from moto.moto_api._internal.models import moto_api_backend

from localcloud.cloud import Cloud
from localcloud.iam import Enforcement
from localcloud.requestlog import RequestLog
from localcloud.server import Application, _http_server, _listen, _moto_application
from tests.localcloud.server_support import REGION, admin


class Api:
    """The API, its admin endpoint, and clients of it."""

    def __init__(self, url: str, cloud: Cloud) -> None:
        self.url = url
        self.cloud = cloud

    def client(self, service: str, **options: Any) -> Any:
        """Return a boto3 client that tries once, unless the options set otherwise."""
        client: Any = boto3.client
        config = Config(**({"retries": {"total_max_attempts": 1}, "s3": {"addressing_style": "path"}} | options))
        return client(service, region_name=REGION, endpoint_url=self.url, config=config)

    def admin(self, method: str, path: str = "faults", body: Any = None) -> Any:
        """Query an admin endpoint and return its answer."""
        return admin(self.url, path, method, body)

    def fault(self, kind: str, **settings: Any) -> str:
        """Make a fault and return its id."""
        identity: str = self.admin("POST", body={"kind": kind, **settings})["id"]
        return identity

    def fired(self, fault_id: str) -> int:
        """Return how often a fault has fired."""
        found: int = next(fault["fired"] for fault in self.admin("GET") if fault["id"] == fault_id)
        return found


@contextmanager
def running_api(enforce: Callable[[Cloud], Enforcement] | None = None) -> Iterator[Api]:
    """Serve the API on a free port of loopback, with the policies that a function enforces."""
    # Loading moto's list of public images takes longer than most tests.
    with patch.dict("os.environ", MOTO_EC2_LOAD_DEFAULT_AMIS="false"):
        cloud = Cloud(name="test", region=REGION, bind="127.0.0.1", engine=None)  # type: ignore[arg-type]
        authorize = enforce(cloud) if enforce else None
        application = Application(cloud, _moto_application(), RequestLog(), moto_api_backend.reset, authorize)
        server = _http_server(_listen("127.0.0.1", 0), application)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            api = Api(f"http://127.0.0.1:{server.port}", cloud)
            yield api
            urllib.request.urlopen(urllib.request.Request(f"{api.url}/moto-api/reset", method="POST"), timeout=10)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
