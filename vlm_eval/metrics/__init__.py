"""Metrics: from a scored table to results."""
