"""Everything that imports torch: networks, training and export (extra `train`).

This module itself, `degrade` and `pairs` do not: `restorect degrade` runs without torch.
"""
