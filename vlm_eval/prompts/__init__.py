"""Templates: Jinja in its immutable sandbox."""
