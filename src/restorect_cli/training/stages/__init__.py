"""What is trained together: a net with its losses, one stage a file; `table` says which a recipe asks for."""
