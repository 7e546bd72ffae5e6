"""One of everything that a package can add to vlm_eval, as small as it can be."""

from pathlib import Path

TASKS = Path(__file__).parent / "tasks"
"""The folder of task files: what the entry point of ``vlm_eval.tasks`` names."""
