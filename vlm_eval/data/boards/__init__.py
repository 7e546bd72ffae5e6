"""The boards of VLM-Fix (Alam 2026, arXiv 2604.12119): states, drawings and prompts.

Everything here is computed: the terminal boards from the published random-number streams, the
images from the published geometry with the bundled font, and the prompts, tags and glyph letters
from the published rules. Section numbers in the docstrings are the paper's.
"""
