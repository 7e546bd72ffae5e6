"""Where is the rule applied? Probes of one model, and layers exchanged between two.

``tiny`` learnt its games by the standard rule only, ``tiny-joint`` by both rules. Each ``# %%``
begins a cell; the settings are small, for a first look in seconds. What is written goes to
``runs/`` of the current folder.
"""

# %% Ask both models the same questions; the task keeps the states of all layers.
from __future__ import annotations

import vlm_eval

TASK = "vlm-fix-layers"
BASE, TUNED = "runs/locate-tiny", "runs/locate-joint"
for model, run in (("tiny", BASE), ("tiny-joint", TUNED)):
    vlm_eval.evaluate(model, TASK, limit=16, output_path=run, resume=True, progress=False)

# %% From which layer on can the right answer be read?
probe = vlm_eval.analyze(
    TUNED, "probe", label="{{ answer }}", sites=("prompt_last",), probes=("linear",), seeds=1,
    epochs=30, control=False, lens=False, train=("both",),
)  # fmt: skip
for estimate in probe.of("accuracy"):
    print(estimate.where, estimate.value, estimate.low, estimate.high)

# %% What is left of the joint model's gain when its last N layers are put back to the base's?
# The two were trained apart, so they also differ outside their layers: hence not strict.
replace = vlm_eval.analyze(
    TUNED, "replace", base=BASE, sweeps=("suffix",), strict=False, limit=4
)  # fmt: skip
for estimate in replace.of("accuracy"):
    print(estimate.where, estimate.value, estimate.low, estimate.high)
print(*replace.notes, sep="\n")
