"""Scorers: how right an answer is."""
