"""restorect repairs photographs: low light, noise, rain, raindrops on the lens."""

__version__ = "0.1.0"
