"""From a picture in memory to the restored one: the prior, the flow, tiles, and the only door to onnxruntime."""
