from typing import Any

from rebake.hooks.bases import BasesHook
from tests.support.aws import BUCKET, CONNECTION
from tests.unit.base.base_facts import FAMILY, base_record


def test_a_familys_records_come_newest_first_however_many_there_are(s3: Any) -> None:
    hook = BasesHook(**CONNECTION)
    for month in (2, 1, 3):
        hook.write(BUCKET, base_record(month).key, base_record(month).model_dump_json())

    assert list(hook.records(BUCKET, FAMILY)) == [base_record(month) for month in (3, 2, 1)]
