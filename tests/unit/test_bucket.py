"""Objects in the environment's bucket: conditional writes, and a bucket that does not exist."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rebake import bucket
from rebake.exceptions import ConfigError
from tests.support.aws import BUCKET, stubbed


def test_only_the_first_writer_of_a_new_object_succeeds(s3: Any) -> None:
    assert bucket.write_if(s3, BUCKET, "a.json", "1")
    assert not bucket.write_if(s3, BUCKET, "a.json", "2")

    assert bucket.read(s3, BUCKET, "a.json") == b"1"


def test_an_object_that_changed_since_it_was_read_is_not_replaced(s3: Any) -> None:
    bucket.write(s3, BUCKET, "a.json", "1")
    _, etag = bucket.read_with_etag(s3, BUCKET, "a.json")

    assert bucket.write_if(s3, BUCKET, "a.json", "2", etag=etag)
    assert not bucket.write_if(s3, BUCKET, "a.json", "3", etag=etag)
    assert bucket.read(s3, BUCKET, "a.json") == b"2"


def test_an_object_that_was_deleted_since_it_was_read_is_not_replaced(s3: Any) -> None:
    """S3 answers If-Match of a missing object with NoSuchKey."""
    assert not bucket.write_if(s3, BUCKET, "a.json", "1", etag='"0123"')


@pytest.mark.parametrize("etag", ["", '"0123"'], ids=["first", "replacement"])
def test_a_write_that_meets_another_in_progress_is_sent_again(etag: str) -> None:
    """S3 has decided nothing then: a key that is free may not count as taken."""
    with stubbed("s3") as (client, stub):
        stub.add_client_error("put_object", "ConditionalRequestConflict", http_status_code=409)
        stub.add_response("put_object", {})

        assert bucket.write_if(client, BUCKET, "a.json", "1", etag=etag)


def test_a_write_that_always_meets_another_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", pauses.append)
    with stubbed("s3") as (client, stub):
        for _ in range(8):
            stub.add_client_error("put_object", "ConditionalRequestConflict", http_status_code=409)

        with pytest.raises(ClientError, match="ConditionalRequestConflict"):
            bucket.write_if(client, BUCKET, "a.json", "1")

    assert len(pauses) == 7


def test_an_object_that_is_not_there_is_none(s3: Any) -> None:
    assert bucket.read_with_etag(s3, BUCKET, "a.json") == (None, "")


def test_keys_come_in_their_order_however_many_pages_there_are(s3: Any) -> None:
    for number in range(1002, 0, -1):
        bucket.write(s3, BUCKET, f"a/{number:04}", "")
    bucket.write(s3, BUCKET, "b", "")

    assert bucket.keys(s3, BUCKET, "a/") == [f"a/{number:04}" for number in range(1, 1003)]


@pytest.mark.parametrize(
    "call",
    [
        lambda s3: bucket.read(s3, "elsewhere", "a"),
        lambda s3: bucket.write(s3, "elsewhere", "a", ""),
        lambda s3: bucket.write_if(s3, "elsewhere", "a", ""),
        lambda s3: bucket.keys(s3, "elsewhere", "a"),
        lambda s3: bucket.require(s3, "elsewhere"),
    ],
    ids=["read", "write", "write_if", "keys", "require"],
)
def test_a_bucket_that_does_not_exist_is_named_with_the_way_out(s3: Any, call: Callable[[Any], Any]) -> None:
    with pytest.raises(ConfigError, match=r"bucket elsewhere does not exist.* correct `bucket` in"):
        call(s3)


def test_a_bucket_of_somebody_else_is_named() -> None:
    with stubbed("s3") as (client, stub):
        stub.add_client_error("head_bucket", "403", "Forbidden", 403)

        with pytest.raises(ConfigError, match="bucket theirs is closed to this connection"):
            bucket.require(client, "theirs")
