"""`make prove`: tests every promise about rollouts for real, under load, and writes `docs/proof.md`."""
