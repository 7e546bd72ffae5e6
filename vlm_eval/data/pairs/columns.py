"""Which column of a pair data set is which of our fields: never guessed, always named.

A data set whose columns have our names needs nothing. Any other is read through a *column map*:
one of :data:`NAMED`, chosen by name, or a mapping of our names to the data set's. What does not fit
is an error that lists what was found, what is needed and the named map that would fit.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from vlm_eval.core.errors import DataError, TaskError, did_you_mean

REQUIRED = ("id", "image_0", "image_1", "caption_0", "caption_1")
OPTIONAL = ("subset", "label_0", "label_1", "category", "tag", "source", "license")


@dataclass(frozen=True)
class ColumnMap:
    """Where our fields are found.

    Attributes
    ----------
    columns
        Our name to the data set's, for the names that differ.
    constants
        Our name to the value that every row has, where the column's *name* says it.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)

    def column(self, name: str) -> str:
        """Return the data set's name of one of our fields."""
        return self.columns.get(name, name)

    def fits(self, found: Collection[str]) -> bool:
        """Return whether a data set with these columns has every required field."""
        return all(self.column(name) in found for name in REQUIRED)


def _sides(image: str, caption: str, sides: tuple[str, str]) -> dict[str, str]:
    """Return the map of two images and two captions whose names differ in ``{}`` alone."""
    return {
        f"{name}_{index}": pattern.format(side)
        for name, pattern in (("image", image), ("caption", caption))
        for index, side in enumerate(sides)
    }


# winoground: columns of the hub data set, whose ``collapsed_tag`` is Object, Relation or Both.
# vismin: the source row with its edit beside it; vismin_bench: columns of the hub data set.
NAMED: Mapping[str, ColumnMap] = {
    "winoground": ColumnMap({"category": "collapsed_tag"}),
    "vismin": ColumnMap(
        {
            "id": "edit_id",
            "image_0": "image_path",
            "image_1": "edited_image_path",
            "caption_0": "caption",
            "caption_1": "edited_caption",
        }
    ),
    "vismin_bench": ColumnMap(_sides("image_{}", "text_{}", ("0", "1"))),
    "safe_unsafe": ColumnMap(
        _sides("{}_image", "{}_caption", ("safe", "unsafe")),
        {"label_0": "safe", "label_1": "unsafe"},
    ),
    "image1_image2": ColumnMap(_sides("image{}", "caption{}", ("1", "2"))),
    "image0_image1": ColumnMap(_sides("image{}", "caption{}", ("0", "1"))),
    "image_a_image_b": ColumnMap(_sides("image_{}", "caption_{}", ("a", "b"))),
}


def column_map(option: str | Mapping[str, str] | None) -> ColumnMap:
    """Return the column map that an option asks for: none, a name of :data:`NAMED`, or a mapping.

    Raises
    ------
    TaskError
        If the name, or one of our names in the mapping, is unknown, or if two required fields are
        mapped to one column.
    """
    if option is None:
        return ColumnMap()
    if isinstance(option, str):
        if option not in NAMED:
            raise TaskError(f"unknown column map {option!r}", hint=did_you_mean(option, NAMED))
        return NAMED[option]
    known = (*REQUIRED, *OPTIONAL)
    for name in option:
        if name not in known:
            hint = f"{did_you_mean(name, known)} (write our name: their column)"
            raise TaskError(f"columns: {name!r} is no field of a pair", hint=hint)
    made = ColumnMap(dict(option))
    targets = [made.column(name) for name in REQUIRED]
    for target in targets:
        if targets.count(target) > 1:
            raise TaskError(f"columns: two fields are read from column {target!r}")
    return made


def check_columns(columns: ColumnMap, found: Collection[str], *, where: str) -> None:
    """Check that a data set has every required field, and every column that an own map names.

    Raises
    ------
    DataError
        Listing the columns found and missing, and the named map that would fit.
    """
    needed = [columns.column(name) for name in REQUIRED]
    if columns not in NAMED.values():  # what a task's author names must be there
        needed += [target for target in columns.columns.values() if target not in needed]
    missing = [target for target in needed if target not in found]
    if not missing:
        return
    fitting = [name for name, named in NAMED.items() if named.fits(found)]
    if fitting:
        hint = f"the named map that fits: columns: {fitting[0]}"
    else:
        hint = "map them, columns: {image_0: THEIR_NAME, ...}; named maps: " + ", ".join(NAMED)
    what = f"no column {', '.join(missing)}; found {', '.join(found) or 'none'}"
    raise DataError(f"{what}; needed {', '.join(needed)}", where=where, hint=hint)
