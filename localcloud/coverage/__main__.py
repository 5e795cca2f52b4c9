"""Regenerate docs/localcloud-coverage.md."""

import logging
from pathlib import Path

from .document import render

log = logging.getLogger(__name__)

DOCUMENT = Path(__file__).parents[2] / "docs" / "localcloud-coverage.md"


def main() -> None:
    """Write the document."""
    DOCUMENT.write_text(render(), encoding="utf-8")
    log.info("wrote %s", DOCUMENT)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
