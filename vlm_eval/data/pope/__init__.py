"""POPE (Li et al. 2023, arXiv 2305.10355), its relabelled and extended versions, and a stand-in."""
