"""Torch definitions of the networks."""
