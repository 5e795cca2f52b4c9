"""The test report of an image: what each check of a temporary instance came to."""

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt


class CheckOutcome(BaseModel):
    """What a check came to over all its attempts."""

    model_config = ConfigDict(
        extra="forbid", use_attribute_docstrings=True, json_schema_serialization_defaults_required=True
    )

    name: str
    """The HTTP request, or the command."""
    ok: bool = False
    """Whether it passed."""
    attempts: NonNegativeInt = 0
    """How often it was tried."""
    seconds: NonNegativeFloat = 0.0
    """From the first attempt to the end of the last."""
    answer: str = "never requested"
    """The last answer, shortened."""


class ProbeReport(BaseModel):
    """The test report of an image, which becomes part of its release record."""

    model_config = ConfigDict(
        extra="forbid", use_attribute_docstrings=True, json_schema_serialization_defaults_required=True
    )

    instance_id: str
    """The temporary instance."""
    address: str = ""
    """Its private address; empty if it never ran."""
    checks: list[CheckOutcome]
    """The service's checks, in the order of its file."""
    seconds: NonNegativeFloat = 0.0
    """How long the test took."""

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(outcome.ok for outcome in self.checks)
