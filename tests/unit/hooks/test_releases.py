from typing import Any

from rebake.hooks.releases import ReleasesHook
from rebake.release import record as release
from tests.support.aws import BUCKET, CONNECTION
from tests.support.releases import put_record, record


def test_records_are_read_as_they_were_written(s3: Any) -> None:
    hook, written = ReleasesHook(**CONNECTION), [record(3, "in_progress"), record(2, "failed"), record(1)]
    for one in written:
        put_record(s3, one)

    assert list(hook.records(BUCKET, "webapp")) == written
    assert list(hook.in_progress(BUCKET)) == written[:1]
    assert release.current(written) == written[2]
