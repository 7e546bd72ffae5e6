"""Data sources: where samples come from."""
