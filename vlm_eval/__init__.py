"""vlm_eval: how a vision-language model's answer changes when one thing about the question changes.

::

    import vlm_eval
    results = vlm_eval.evaluate(model="tiny", tasks=["vlm-fix-inverse"])
    print(results.to_frame())

Names are imported on first use, so that ``import vlm_eval`` is instant and imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vlm_eval.comparison.compare import compare
    from vlm_eval.core.errors import VlmEvalError
    from vlm_eval.internals.findings import Findings
    from vlm_eval.reports.api import report
    from vlm_eval.runner.api import evaluate, score
    from vlm_eval.runner.results import Counts, Results, TaskResult
    from vlm_eval.runner.study import analyze
    from vlm_eval.stats.results import Comparison, Estimate

__all__ = [
    "Comparison",
    "Counts",
    "Estimate",
    "Findings",
    "Results",
    "TaskResult",
    "VlmEvalError",
    "analyze",
    "compare",
    "evaluate",
    "report",
    "score",
]

_HOME = {
    "Comparison": "vlm_eval.stats.results",
    "Counts": "vlm_eval.runner.results",
    "Estimate": "vlm_eval.stats.results",
    "Findings": "vlm_eval.internals.findings",
    "Results": "vlm_eval.runner.results",
    "TaskResult": "vlm_eval.runner.results",
    "VlmEvalError": "vlm_eval.core.errors",
    "analyze": "vlm_eval.runner.study",
    "compare": "vlm_eval.comparison.compare",
    "evaluate": "vlm_eval.runner.api",
    "report": "vlm_eval.reports.api",
    "score": "vlm_eval.runner.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
