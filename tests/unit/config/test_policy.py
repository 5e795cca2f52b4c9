"""The policy of an environment: what its ages may be."""

import pytest
from pydantic import ValidationError

from rebake.config.policy import Retirement


@pytest.mark.parametrize("ages", [(60, 30, 90), (30, 90, 60)])
def test_images_are_not_disabled_before_they_are_deprecated_nor_deregistered_before_they_are_disabled(
    ages: tuple[int, int, int],
) -> None:
    names = ("deprecate_after_days", "disable_after_days", "deregister_after_days")

    with pytest.raises(ValidationError, match=rf"deprecate_after_days \({ages[0]}\) <= .* must hold"):
        Retirement(**dict(zip(names, ages, strict=True)))


def test_three_released_images_always_stay() -> None:
    with pytest.raises(ValidationError, match="keep"):
        Retirement(keep=2)
