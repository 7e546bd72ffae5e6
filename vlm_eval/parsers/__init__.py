"""Parsers: from a model's text to an answer and the rule that found it."""
