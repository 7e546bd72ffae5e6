"""Analyses of the inside of an open model: what it represents, where, and what changes its answer.

An analysis reads a run (the scored trials of a task, and the hidden states that were captured with
them) and may ask the run's model more, with its insides changed. It gives :class:`Findings`:
estimates over an axis such as the layer, which the command line prints and the report draws.
"""
