"""The embedded clouds that these tests share: with containers, with records, and parts of one in this process."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import docker
import pytest

from tests.localcloud.fleet_fakes import World, world
from tests.localcloud.load_balancer_fakes import Site, running_site
from tests.localcloud.server_support import Server, ready_url, serving_records, started


@pytest.fixture(scope="session")
def engine(engine_url: str, os_image: str) -> Iterator[docker.APIClient]:
    """The container engine, with the OS image in it."""
    try:
        client: Any = docker.APIClient(base_url=engine_url, version="auto", timeout=300)
        client.inspect_image(os_image)
    except docker.errors.ImageNotFound:
        pytest.fail(f"the engine at {engine_url} has no image {os_image}: run `make setup`")
    except (docker.errors.DockerException, OSError) as error:
        pytest.fail(f"no container engine at {engine_url}: run the tests by `make test` ({error})")
    with contextlib.closing(client):
        yield client


@pytest.fixture(scope="session")
def session_server(engine: docker.APIClient) -> Iterator[Server]:
    """The one server of the test session; request `server` instead."""
    name = f"test-{os.getpid()}"
    with started(name) as process:
        yield Server(name=name, url=ready_url(process), process=process, engine=engine)


@pytest.fixture(scope="module")
def server(session_server: Server) -> Iterator[Server]:
    """A running embedded cloud, emptied after each test file."""
    yield session_server
    session_server.empty()


@pytest.fixture(scope="session")
def session_records() -> Iterator[Server]:
    """The one server in metadata-only mode; request `records` instead."""
    with serving_records("records") as server:
        yield server


@pytest.fixture
def records(session_records: Server) -> Iterator[Server]:
    """A running embedded cloud whose instances are records, and which needs no engine; emptied after each test."""
    yield session_records
    session_records.empty()


@pytest.fixture
def small() -> Iterator[World]:
    """A fleet's part of AWS in this process, with a clock that the test moves."""
    with world() as small:
        yield small


@pytest.fixture
def site() -> Iterator[Site]:
    """A load balancer in this process."""
    with running_site() as site:
        yield site
