"""IAM, enforced: signatures are checked and policies evaluated when the cloud runs with `--enforce-iam`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from localcloud.iam import table
from localcloud.iam.authentication import Authenticator
from localcloud.iam.enforcement import Enforcement
from localcloud.iam.principals import RootKey
from localcloud.iam.sessions import install

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

__all__ = ["Enforcement", "RootKey", "enforce"]


def enforce(cloud: Cloud, root_keys: Iterable[tuple[str, str, str]]) -> Enforcement:
    """Return the gate that every request has to pass.

    Args:
        cloud: The cloud.
        root_keys: The keys of accounts' roots: id, secret, account ("" for the cloud's own).

    Raises:
        LocalCloudError: AWS's table of actions is not installed.
    """
    table.action("sts", "AssumeRole")  # read it now, while nobody waits
    keys = [RootKey(identity, secret, account or cloud.account_id) for identity, secret, account in root_keys]
    authenticator = Authenticator(keys)
    install(authenticator)
    return Enforcement(cloud, authenticator)
