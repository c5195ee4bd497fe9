"""Everything that imports torch: networks, degradations, training and export (extra `train`)."""
