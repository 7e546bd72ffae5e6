"""From a model's name to findings: evaluate, analyse, read the estimates, report.

Each ``# %%`` begins a cell. What is written goes to ``runs/`` of the current folder.
"""

# %% Evaluate. The task says what to ask and what to capture.
from __future__ import annotations

import vlm_eval

TASK, RUN = "pope-perturbed", "runs/inside"
results = vlm_eval.evaluate(
    "tiny", TASK, data={TASK: "embedded"}, limit=2, output_path=RUN, resume=True, progress=False
)

# %% What did the perturbations do to the images, and do those changes go with flips?
spectrum = vlm_eval.analyze(RUN, "spectrum")
for estimate in spectrum.of("relative_energy_change", band="high", trials="all"):
    print(estimate.where["family"], estimate.value, estimate.low, estimate.high)

# %% How little must change for another answer, at low and at high frequencies?
attack = vlm_eval.analyze(RUN, "attack", modes=("low", "high"), steps=3)
for mode in ("low", "high"):
    (before,), (after,) = (attack.of(f"margin_{name}", mode=mode) for name in ("before", "after"))
    print(f"{mode}: margin {before.value} -> {after.value} {before.unit}")
print(attack.facts, *attack.notes, sep="\n")

# %% Does an answer need low and high frequencies at once, or is one band enough?
coherence = vlm_eval.analyze(RUN, "coherence", cutoffs=(0.1, 0.5))
for gap, synergy in zip(coherence.of("coherence_gap"), coherence.of("synergy"), strict=True):
    print(f"cutoff {gap.where['cutoff']}: gap {gap.value}, synergy {synergy.value} {gap.unit}")

# %% The report draws all three.
print(vlm_eval.report(RUN, samples=2))
