"""Task files: YAML to frozen specs to trials."""
