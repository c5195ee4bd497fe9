"""What a training is, as TOML: the shipped recipes and reading them. Nothing here imports torch."""
