"""Applications to try Rebake with."""
