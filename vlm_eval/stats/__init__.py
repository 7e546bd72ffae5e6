"""Every number that compares conditions comes from here."""
