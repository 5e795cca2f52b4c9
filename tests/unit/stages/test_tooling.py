"""What the stages that run Packer or Terraform share."""

from rebake.stages.tooling import RunningTool, run_tag
from rebake.tools.runner import Runner
from tests.support.task import RUN_TAG, context


def test_each_service_has_a_tag_of_its_own_for_what_it_makes_and_cleans_up() -> None:
    """With one for the whole run, the bake of one service would remove the builder of another."""
    first, second = context(), context()
    first["ti"].map_index, second["ti"].map_index = 0, 1

    assert run_tag(first) == f"{RUN_TAG}/0"
    assert run_tag(second) == f"{RUN_TAG}/1"
    assert run_tag(context()) == RUN_TAG


def test_a_stop_reaches_the_tool_while_it_runs_and_at_no_other_time() -> None:
    stops: list[str] = []
    tool, runner = RunningTool(), Runner.__new__(Runner)
    runner.stop = lambda: stops.append("stop")  # type: ignore[method-assign]

    tool.stop()
    with tool.running(runner):
        tool.stop()
    tool.stop()

    assert stops == ["stop"]
