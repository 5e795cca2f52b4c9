"""Tags as AWS describes them, and the one that leads to an Airflow run."""

from rebake import tags


def test_tags_are_read_from_any_resource_also_from_one_without() -> None:
    assert tags.read({"Tags": [{"Key": "a", "Value": "1"}]}) == {"a": "1"}
    assert tags.read({"Tags": None}) == tags.read({}) == {}


def test_the_tag_of_a_run_is_no_longer_than_aws_keeps() -> None:
    assert tags.dag_run_tag("deploy_webapp", "manual__1") == "deploy_webapp/manual__1"
    assert len(tags.dag_run_tag("deploy_webapp", "r" * 300)) == 256
