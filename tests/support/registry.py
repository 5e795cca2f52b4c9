"""The channels of a service, as tests fill and read them."""

from rebake.hooks.registry import RegistryHook
from rebake.image.channels import CHANNELS, service_name

NAME = service_name("webapp")


def image_id(number: int) -> str:
    """Return an image id of AWS's form."""
    return f"ami-{number:017x}"


def channels_of(registry: RegistryHook) -> dict[str, str]:
    """Return the image that each channel of the service points at."""
    found = {channel: registry.read(NAME, channel) for channel in CHANNELS}
    return {channel: pointer.ami_id for channel, pointer in found.items() if pointer}
