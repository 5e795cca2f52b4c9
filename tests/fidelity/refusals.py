"""AWS's refusals, as tests expect them."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from botocore.exceptions import ClientError


@contextmanager
def refused(code: str, status: int = 400, text: str = "") -> Iterator[None]:
    """Expect the calls inside to be refused.

    Args:
        code: AWS's error code.
        status: The HTTP status.
        text: What the message contains.
    """
    with pytest.raises(ClientError) as refusal:
        yield
    error = refusal.value.response
    found = (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"])
    assert found == (code, status), error["Error"]["Message"]
    assert text in error["Error"]["Message"]
