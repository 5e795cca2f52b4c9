"""Real Terraform meets the embedded cloud's faults of the state lock."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.infrastructure.support import Terraform
from tests.localcloud.fault_support import REGION, Api, running_api


@pytest.fixture
def api() -> Iterator[Api]:
    with running_api() as running:
        location = {"LocationConstraint": REGION}
        running.client("s3").create_bucket(Bucket="states", CreateBucketConfiguration=location)
        yield running


@pytest.fixture
def root(api: Api, terraform: Terraform, tmp_path: Path) -> Path:
    """Return a root module without a provider, whose state is in the embedded cloud."""
    backend: dict[str, Any] = {
        "bucket": "states", "key": "fleet/webapp.tfstate", "region": REGION, "use_lockfile": True,
        "access_key": "any", "secret_key": "any", "use_path_style": True, "endpoints": {"s3": api.url},
        "skip_credentials_validation": True, "skip_metadata_api_check": True, "skip_requesting_account_id": True,
        "skip_region_validation": True,
    }  # fmt: skip
    module = {"terraform": {"backend": {"s3": backend}}, "resource": {"terraform_data": {"any": {"input": "1"}}}}
    (tmp_path / "main.tf.json").write_text(json.dumps(module))
    terraform.must(tmp_path, "init", "-input=false", "-no-color")
    return tmp_path


@pytest.mark.parametrize("how", ["held", "503"])
def test_apply_fails_while_the_lock_cannot_be_taken_and_works_again_after(
    api: Api, terraform: Terraform, root: Path, how: str
) -> None:
    """With the error that the pipeline knows; with a lock that is held, Terraform says by whom."""
    fault = api.fault("state-lock", how=how)

    refused = terraform(root, "apply", "-auto-approve", "-input=false", "-no-color", "-lock-timeout=0s")
    fired = api.fired(fault)
    api.admin("DELETE")
    terraform.must(root, "apply", "-auto-approve", "-input=false", "-no-color")

    assert refused.returncode == 1
    assert "Error acquiring the state lock" in refused.stderr
    assert ("localcloud@faults" in refused.stderr) is (how == "held")
    assert fired >= 1
    assert api.client("s3").head_object(Bucket="states", Key="fleet/webapp.tfstate")
