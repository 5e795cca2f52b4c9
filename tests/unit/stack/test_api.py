"""What the commands request of Airflow's REST API."""

import datetime as dt
from typing import Any

import pytest
import requests

from stack.api import Api
from stack.errors import StackError
from stack.settings import Settings


class _Airflow(Api):
    """Accepts every request and keeps its body."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        self.sent.append(body or {})
        answer = requests.Response()
        answer.status_code, answer._content = 200, b"{}"
        return answer


def test_each_run_has_a_logical_date_of_its_own_so_that_airflows_home_page_counts_it() -> None:
    airflow = _Airflow()
    run_ids = [airflow.trigger("deploy_webapp", {"version": version}) for version in ("1.0.0", "1.1.0")]
    dates = [dt.datetime.fromisoformat(body["logical_date"]) for body in airflow.sent]

    assert [body["dag_run_id"] for body in airflow.sent] == run_ids
    assert len({*dates}) == 2
    assert all(date.tzinfo for date in dates)


def test_an_airflow_that_does_not_run_is_reported_with_the_command_that_starts_it() -> None:
    stopped = Api(Settings(1, 1, "", "", "", ""))

    with pytest.raises(StackError) as shown:
        stopped.has_dag("deploy_webapp")

    assert str(shown.value) == (
        "Airflow does not run here (nothing answers at http://127.0.0.1:1): `make up` starts it"
    )
