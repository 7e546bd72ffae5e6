"""Tables of pairs. Outcomes of a sample are written as twelve marks.

1 is right, 0 wrong, ? unparsed, ! failed. In order: confirm of sides 0, 1; reject of sides 0, 1;
i2c and c2i, each of side 0 in the orders ab and ba, then of side 1.
"""

from vlm_eval.core.options import build
from vlm_eval.metrics.minimal_pairs import ORDER
from vlm_eval.metrics.table import METRICS, Table, TableRow
from vlm_eval.stats.results import Comparison, Estimate

FACTORS = {"question": ("confirm", "reject", "i2c", "c2i"), "side": (0, 1), "order": ("ab", "ba")}
KEYS = [(question, side, "ab") for question in ("confirm", "reject") for side in (0, 1)]
COMPOSITE = [("c2i_composite", side, order) for side in (0, 1) for order in ("ab", "ba")]
ASKED = tuple(name for name in ORDER if "composite" not in name and "derived" not in name)
OPTIONS = {"confirm": ("Yes", "No"), "reject": ("No", "Yes"), "i2c": "AB", "c2i": "12",
           "c2i_composite": "12"}  # fmt: skip
GOLDEN = {
    "s1": "11 11 11 11 11 11",
    "s2": "11 01 10 11 11 01",
    "s3": "1? 00 11 00 ?0 01",
    "s4": "01 10 11 11 00 11",
    "s5": "11 00 11 11 11 11",
}
LABELS = {"s1": ("safe", "unsafe"), "s2": ("unsafe", "safe")}


def row(sample, key, mark, labels=("safe", "unsafe"), **extra):
    question, side, order = key
    right, wrong = OPTIONS[question]
    if question not in ("confirm", "reject") and (side == 0) != (order == "ab"):
        right, wrong = wrong, right
    condition = {"question": question, "side": side, "order": order, **extra}
    return TableRow(
        sample_id=sample,
        cluster=sample,
        condition=condition,
        fields={"category": None, "label": labels[side]},
        gold=right,
        answer={"1": right, "0": wrong}.get(mark),
        scores={} if mark == "!" else {"accuracy": float(mark == "1")},
        failed=mark == "!",
    )


def table(outcomes, keys=KEYS, factors=FACTORS):
    rows = [
        row(sample, key, mark, LABELS.get(sample, ("safe", "unsafe")))
        for sample, marks in outcomes.items()
        for key, mark in zip(keys, marks.replace(" ", ""), strict=True)
    ]
    return Table("mis", factors, tuple(rows), chance=0.5)


def measure(made, **options):
    return build(METRICS, {"name": "minimal_pairs", **options}, where=None)(made)


def estimates(made, where=None, **options):
    found = [r for r in measure(made, **options) if isinstance(r, Estimate)]
    return {e.name: e for e in found if e.where == (where or {})}


def values(made, where=None, **options):
    return {name: e.value for name, e in estimates(made, where, **options).items()}


def comparisons(made):
    return [r for r in measure(made) if isinstance(r, Comparison)]
