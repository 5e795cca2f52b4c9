"""Regenerate docs/localcloud-coverage.md; its table of facts stays as `make fidelity` wrote it."""

import logging

from .document import DOCUMENT, facts_of, render

log = logging.getLogger(__name__)


def main() -> None:
    """Write the document."""
    DOCUMENT.write_text(render(facts_of(DOCUMENT.read_text(encoding="utf-8"))), encoding="utf-8")
    log.info("wrote %s", DOCUMENT)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
