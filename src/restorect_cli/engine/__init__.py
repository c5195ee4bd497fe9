"""Restores a picture in memory: the prior, the flow, tiles, and the only import of onnxruntime."""
