"""The results of a run's stages."""

from typing import Any

from rebake.release.results import Results
from rebake.release.stage import Stage
from tests.support.releases import RESULTS, TEST_REPORT

CHOSEN: dict[str, Any] = {
    **RESULTS[Stage.BAKE],
    "release_id": "webapp-1",
    "test_report": {**TEST_REPORT, "instance_id": "i-of-the-deployment"},
    "auto_scaling_group_name": "webapp-local",
}


def test_the_image_of_a_deployment_is_the_baked_one_with_the_test_of_the_run() -> None:
    results = Results.model_validate({"bake": RESULTS[Stage.BAKE], "probe": TEST_REPORT})

    assert results.image == results.bake
    assert results.test_report == results.probe


def test_the_image_of_a_rollback_is_the_chosen_one_with_the_test_of_its_deployment() -> None:
    results = Results.model_validate({"chosen": CHOSEN})

    assert results.image == results.chosen
    assert results.test_report is not None
    assert results.test_report.instance_id == "i-of-the-deployment"


def test_a_run_that_has_only_begun_has_no_image() -> None:
    assert (Results().image, Results().test_report) == (None, None)


def test_results_survive_the_way_through_xcom() -> None:
    results = Results.model_validate({"bake": RESULTS[Stage.BAKE], "started": RESULTS[Stage.START_REFRESH]})

    assert Results.model_validate(results.model_dump(mode="json")) == results
