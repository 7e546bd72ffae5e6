"""Plan, execute, record."""
