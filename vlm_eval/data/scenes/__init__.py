"""Drawn streets: the embedded stand-in for driving scenes."""
