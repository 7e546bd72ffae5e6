"""Minimal pairs: two images and two captions that differ in one thing."""
