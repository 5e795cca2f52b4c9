"""What a stage finds out about the run that it belongs to."""

from types import SimpleNamespace


def test_a_context_without_states_is_no_failure() -> None:
    from rebake.stages.run_facts import task_states

    ti = SimpleNamespace(dag_id="d", run_id="r", get_task_states=lambda **_: {})
    assert task_states({"ti": ti}) == {}  # type: ignore[typeddict-item,arg-type]
