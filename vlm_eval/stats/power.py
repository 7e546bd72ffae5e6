"""What a comparison could have seen."""

from __future__ import annotations


def minimum_detectable(
    se: float | None, df: int, *, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """Return the smallest true difference that a two-sided test would find with this power.

    (t(1 - alpha / 2, df) + t(power, df)) · se (Bloom 1995, *Eval. Rev.* 19), about 2.8 standard
    errors. Unknown if the error is, or is 0, which says only that the sample showed no spread.
    """
    if not se:
        return None
    from scipy.special import stdtrit

    return float(stdtrit(df, 1 - alpha / 2) + stdtrit(df, power)) * se
