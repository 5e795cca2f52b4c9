"""What every test starts from: an environment of its own, and no way to a real AWS account.

The environment is set while this file is imported, before any test module imports Airflow, because Airflow
reads its configuration at import.
"""

import functools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest

_PROJECT = Path(__file__).resolve().parents[1]
_SCRATCH = tempfile.TemporaryDirectory(prefix="rebake-test-", ignore_cleanup_errors=True)

for _name in [name for name in os.environ if name.startswith(("AWS_", "AIRFLOW_"))]:
    del os.environ[_name]

os.environ.update(
    {
        "AIRFLOW_HOME": f"{_SCRATCH.name}/airflow",
        "AIRFLOW__CORE__DAGS_FOLDER": str(_PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(_PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
        "REBAKE_ENVIRONMENT": "local",
        "REBAKE_HOME": str(_PROJECT),
        "REBAKE_WORKER_CIDR": "10.64.0.0/24",
        "REBAKE_WORK": f"{_SCRATCH.name}/work",
    }
)

# Each session of boto3 reads AWS's service models again, and each hook makes one: a third of the tests' CPU time.
botocore.session.create_loader = functools.cache(botocore.session.create_loader)


@pytest.fixture(scope="session", autouse=True)
def _scratch_folder_goes_away() -> Iterator[None]:
    yield
    _SCRATCH.cleanup()


@pytest.fixture(scope="session")
def project() -> Path:
    """Return the project's folder."""
    return _PROJECT


@pytest.fixture(scope="session")
def engine_url() -> str:
    """Return the address of the container engine that `make test` started, such as unix:///path/to.sock."""
    url = os.environ.get("REBAKE_ENGINE", "")
    if not url:
        pytest.fail("REBAKE_ENGINE is not set: run the tests by `make test`, which starts the container engine")
    return url


@pytest.fixture(scope="session")
def os_image() -> str:
    """Return the engine's name of the operating system image that instances are made of."""
    image = os.environ.get("REBAKE_OS_IMAGE", "")
    if not image:
        pytest.fail("REBAKE_OS_IMAGE is not set: run the tests by `make test`, which builds the image")
    return image
