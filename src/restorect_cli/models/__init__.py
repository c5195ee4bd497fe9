"""The table of models: which exist, where their files are, how they are fetched and verified."""
