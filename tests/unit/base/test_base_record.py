from tests.unit.base.base_facts import base_record


def test_the_keys_of_a_familys_records_sort_by_when_the_images_were_baked() -> None:
    assert [base_record(month).key for month in (1, 10)] == [
        "bases/strict/20260101T030000Z-ami-1.json",
        "bases/strict/20261001T030000Z-ami-1.json",
    ]
