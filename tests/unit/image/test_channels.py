"""The SSM parameters of an image's channels."""

import pytest

from rebake.image.channels import CURRENT, base_name, family_of, parameter_name, service_name, service_of


def test_a_parameter_leads_back_to_whose_channel_it_holds() -> None:
    assert parameter_name(service_name("webapp"), CURRENT) == "/rebake/webapp/current"
    assert parameter_name(base_name("debian-12"), CURRENT) == "/rebake/bases/debian-12/current"
    assert (service_of("/rebake/webapp"), family_of("/rebake/webapp")) == ("webapp", "")
    assert (service_of("/rebake/bases/debian-12"), family_of("/rebake/bases/debian-12")) == ("", "debian-12")


def test_a_channel_outside_the_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match="'latest' is none of candidate, current, previous"):
        parameter_name(service_name("webapp"), "latest")
