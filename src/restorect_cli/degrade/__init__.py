"""Degradations: pure functions of an image and a random generator, one family per file."""
