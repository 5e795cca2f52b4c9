"""Runs every promise that is made about a rollout for real, measures it, and writes `docs/proof.md`: `make prove`."""
