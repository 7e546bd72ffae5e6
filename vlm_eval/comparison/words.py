"""The sentence that says how two runs differ."""

from __future__ import annotations

from vlm_eval.comparison.results import Change, TaskDifference

UNPARSED = "(unparsed)"


def summary(task: TaskDifference) -> str:
    """Return how many answers differ and what that did to the scores, in words.

    The numbers are those of the table: exact counts, not rounded shares.
    """
    if not task.both:
        return "No trial was answered by both."
    changed, both = task.answers_changed, task.both
    if not task.changes:
        return f"All {both:,} answers are the same."
    verb = "differs" if changed == 1 else "differ"
    text = f"{changed:,} of {both:,} answers {verb}"
    losses, gains = task.overall.right_to_wrong, task.overall.wrong_to_right
    if losses is None or gains is None:
        scores = sum(change.scores[0] != change.scores[1] for change in task.changes)
        return f"{text}; {scores:,} {'score differs' if scores == 1 else 'scores differ'}."
    return f"{text}: {losses:,} right in A and wrong in B, {gains:,} wrong in A and right in B."


def change_in_words(change: Change) -> str:
    """Return one trial's change: which trial, and the answers of A and B with their scores."""
    condition = ", ".join(f"{factor}={level}" for factor, level in change.condition.items())
    sides = [
        f"{UNPARSED if answer is None else answer} ({_verdict(score)})"
        for answer, score in zip(change.answers, change.scores, strict=True)
    ]
    return f"{change.sample_id} [{condition}]: {sides[0]} -> {sides[1]}"


def _verdict(score: float) -> str:
    return {0.0: "wrong", 1.0: "right"}.get(score, f"{100 * score:.1f} %")
