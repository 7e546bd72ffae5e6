"""Counting in altered pictures of familiar things: VLMs are Biased (arXiv 2505.23941)."""
