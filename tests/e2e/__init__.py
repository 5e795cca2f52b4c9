"""Deployments on a stack of their own: the package is the scope of that stack."""
