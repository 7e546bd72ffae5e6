"""A static site from any number of run folders, which can be checked against their records."""
