"""The one file that Airflow's plugin loader runs.

It runs every Python file below plugins/ under its bare name, unless `.airflowignore` names it: so the package
`rebake` is ignored there and is imported by its full name instead. plugins/ is on the path of every component.
"""

from airflow.plugins_manager import AirflowPlugin

from rebake.stages import pool


class RebakePlugin(AirflowPlugin):
    """Makes Rebake show in the list of plugins, and its pool; operators, sensors and triggers need no registration."""

    name = "rebake"
    listeners = [pool]  # noqa: RUF012 Airflow declares it as a list
