"""What every part of the configuration shares: no unknown field, no change after reading, safe names."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,30}$")]
"""A name that is safe in a DAG id, a parameter path, a tag and an AWS resource name."""


class Strict(BaseModel):
    """A part of a configuration file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
