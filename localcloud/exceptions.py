"""What can keep the embedded cloud from working.

LocalCloudError            one sentence for the person at the terminal, with the way out
 └── EngineError           the container engine refused or failed something
      └── ImageInUseError  an image cannot go while a container runs it
"""

from collections.abc import Callable


class LocalCloudError(Exception):
    """Raised when the embedded cloud cannot start or go on; its text is one sentence that names the way out."""


class EngineError(LocalCloudError):
    """Raised when the container engine cannot be reached, or refuses or fails a request."""


class ImageInUseError(EngineError):
    """Raised when an image cannot be removed because a container still runs it."""


def refusal(error: Callable[..., Exception], code: str, text: str) -> Callable[..., Exception]:
    """Return what makes an error of a service: moto's exception of it, AWS's code, and a text with its values in it."""
    return lambda *values: error(code, text.format(*values))
