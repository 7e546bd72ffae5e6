"""The typed, frozen form of a task file.

The attribute docstrings below are the reference of the file format: they become the descriptions
of the JSON Schema that editors complete task files with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import (
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema

from vlm_eval.core.capture import CaptureSpec, Site
from vlm_eval.core.types import Condition, Level
from vlm_eval.prompts import templates
from vlm_eval.tasks.question import Expression, Output, Part, Prompt, Role, Spec, Template
from vlm_eval.tasks.yaml import PathInFile, key_text

Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
FactorName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]


class Paper(Spec):
    """The paper that defines the task."""

    title: str
    """Title of the paper."""
    arxiv: str | None = None
    """arXiv identifier, in quotes: "2604.12119"."""
    venue: str | None = None
    """Where it was published."""
    url: str | None = None
    """Where to read it."""


class Named(Spec):
    """A registered thing and its options: ``accuracy`` or ``{name: accuracy, option: value}``."""

    model_config = ConfigDict(extra="allow")

    name: str
    """The registered name (``vlm_eval ls`` lists them); the other keys are its own options."""

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, str) else given

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, handler.resolve_ref_schema(handler(core))]}

    def options(self) -> dict[str, Any]:
        """Return the mapping that `core.options.build` takes: the name and the thing's options."""
        return {"name": self.name, **(self.model_extra or {})}


class ParserSpec(Named):
    """How the answer is found in generated text."""

    literal: Named | None = None
    """The paper's own parser; its result is stored beside and never replaces the answer."""
    also: tuple[Named, ...] = ()
    """Other published parsers of the same text; each gives a score `accuracy_NAME` beside."""

    @model_validator(mode="after")
    def _distinct(self) -> ParserSpec:
        names = [parser.name for parser in self.also]
        for name in names:
            if names.count(name) > 1 or name in _TAKEN:
                raise ValueError(f"two parsers would give the score accuracy_{name}")
        return self


class ScorerSpec(Named):
    """How right an answer is."""


_TAKEN = ("literal", "length_normalised", "byte_normalised")  # accuracy_literal, ...


class Data(Spec):
    """Where samples come from; the other keys are the source's own options."""

    model_config = ConfigDict(extra="allow")

    source: str
    """The registered data source (``vlm_eval ls sources``)."""

    def options(self) -> dict[str, Any]:
        """Return the mapping that `core.options.build` takes."""
        return {"name": self.source, **(self.model_extra or {})}


class Step(Named):
    """One transform of the image."""

    when: Expression | None = None
    """The transform is applied where this holds; absent means always."""


class ImageSpec(Spec):
    """What is done to every image before the model sees it."""

    field: str | None = None
    """The image field that `prompt.template` is preceded by."""
    transform: tuple[Step, ...] = ()
    """Transforms in order; option values may be templates."""


class Case(Spec):
    """What is asked instead where `when` holds: each key given replaces the task's own."""

    when: Expression
    """An expression over the factors."""
    prompt: Prompt | None = None
    """Replaces the task's prompt."""
    output: Output | None = None
    """Replaces the task's output."""
    gold: Template | None = None
    """Replaces the task's gold answer."""
    parser: ParserSpec | None = None
    """Replaces the task's parser."""
    scorer: ScorerSpec | None = None
    """Replaces the task's scorer."""
    image: ImageSpec | None = None
    """Replaces the task's image section."""


class Follows(Spec):
    """Which conditions are asked after another one of the same sample, and may use its answer."""

    when: Expression
    """An expression over the factors: the conditions that follow."""
    condition: Annotated[dict[FactorName, Level], Field(min_length=1)]
    """The levels that the condition which is asked first has instead; its parsed answer is the
    text `first_answer` in the templates of those that follow."""


class Capture(Spec):
    """Which hidden states are kept with the answers, for metrics and analyses of them."""

    sites: Annotated[tuple[Site, ...], Field(min_length=1)] = ("prompt_last",)
    """Where: `prompt_last` (the end of the context), `vision_mean`, `answer_mean`, `answer_last`,
    `vision_grid` (the image's tokens after the projector)."""
    layers: Literal["all"] | int | tuple[int, ...] = 1
    """At which layers: `all`, the last k, or a list; 0 is the embeddings."""
    norm: Literal["before", "after", "both"] = "after"
    """Whether the last layer's states are taken before the final norm, after it, or both."""
    answers: Literal["best", "all"] = "best"
    """Of scored options, the answer sites of the best or of all."""
    grid: Literal["energy", "tokens"] = "energy"
    """What is kept of `vision_grid`: its Dirichlet energy, or all its tokens."""
    when: Expression | None = None
    """An expression over the factors: which conditions are captured; absent means all."""
    samples: Annotated[int, Field(ge=1)] | Literal["all"] = 200
    """How many samples, drawn by the run's seed, or `all`."""
    max_gib: Annotated[float, Field(gt=0)] = 8.0
    """The run is refused if the states would take more than this on disk, in GiB."""

    @field_validator("sites")
    @classmethod
    def _distinct(cls, sites: tuple[Site, ...]) -> tuple[Site, ...]:
        if len(set(sites)) < len(sites):
            raise ValueError("must be distinct")
        return sites

    @field_validator("layers", mode="before")
    @classmethod
    def _some(cls, layers: Any) -> Any:
        number = type(layers) is int and layers >= 1
        several = isinstance(layers, (list, tuple)) and all(type(item) is int for item in layers)
        if not (layers == "all" or number or (several and layers)):
            raise ValueError("must be all, how many of the last, or a list of layers (0 the first)")
        return layers

    def to_spec(self) -> CaptureSpec:
        """Return what a model is asked to keep of each request."""
        return CaptureSpec(
            sites=self.sites, layers=self.layers, norm=self.norm, answers=self.answers
        )


class Subtasks(Spec):
    """Tasks that differ from this one in one option of the data source."""

    option: str
    """The option, which takes a list."""
    values: Annotated[tuple[str, ...], Field(min_length=1)]
    """Each value V defines the task NAME-V, in which the option is [V]."""


Conditional = TypeVar("Conditional", Part, Step)


@dataclass(frozen=True, eq=False)
class Ask:
    """What one condition asks.

    Attributes
    ----------
    condition
        The condition.
    prompt, output, gold, parser, scorer, image
        As in the task file, after its cases.
    origin
        For each of these keys, its path in the task file: ``("cases", 1, "prompt")``.
    """

    condition: Condition
    prompt: Prompt
    output: Output
    gold: str
    parser: ParserSpec | None
    scorer: ScorerSpec | None
    image: ImageSpec
    origin: Mapping[str, PathInFile]

    @cached_property
    def turns(self) -> tuple[tuple[Role, list[tuple[Part, PathInFile]]], ...]:
        """What `Prompt.turns` yields for this image, less what the condition rules out."""
        return tuple(
            (role, [(left, path) for part, path in parts if (left := self._settled(part))])
            for role, parts in self.prompt.turns(self.image.field)
        )

    @cached_property
    def transforms(self) -> tuple[tuple[int, Step], ...]:
        """The transforms with their places in the file, less what the condition rules out."""
        steps = enumerate(self.image.transform)
        return tuple((i, left) for i, step in steps if (left := self._settled(step)))

    def _settled(self, item: Conditional) -> Conditional | None:
        """Return an item without a `when` that the condition alone decides; None if it fails."""
        holds = templates.decided(item.when, self.condition)
        if holds is None:
            return item
        return item.model_copy(update={"when": None}) if holds else None

    @cached_property
    def read_by_fields(self) -> bool:
        """Whether options of the parsers hold templates."""
        if self.parser is None:
            return False
        parsers = (self.parser, self.parser.literal, *self.parser.also)
        return not all(one is None or templates.is_constant(one.options()) for one in parsers)


_ASK_KEYS = ("prompt", "output", "gold", "parser", "scorer", "image")


class TaskSpec(Spec):
    """A task file, with what it includes merged in."""

    task: Name
    """The task's name: lower case letters, digits, dash, underscore and dot."""
    version: Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$")]
    """MAJOR.MINOR.PATCH, raised whenever a score could change."""
    title: str
    """One line for tables."""
    description: str = ""
    """What is measured and how to read it."""
    paper: Paper | None = None
    """The paper that defines the task."""
    tags: tuple[Name, ...] = ()
    """What the task is about; `--tasks tag:NAME` chooses by tag."""
    data: Data
    """Where samples come from."""
    sample_id: Template
    """A stable and unique id from the row's fields; no factor may enter."""
    cluster: Template | None = None
    """What a sample shares its randomness with (image, board, pair); absent: the sample itself."""
    slices: tuple[str, ...] = ()
    """Fields by which results are broken down too."""
    factors: dict[FactorName, Annotated[tuple[Level, ...], Field(min_length=1)]] = Field(
        default_factory=dict
    )
    """What is varied, and its levels; the first level is the baseline."""
    controls: dict[str, tuple[Level, ...]] = Field(default_factory=dict)
    """Levels that are noise-floor controls (identity, lossless re-encode), by factor."""
    where: Expression | None = None
    """An expression over the factors: which conditions exist; absent means all."""
    applies: Expression | None = None
    """An expression over fields and factors: which trials exist; absent means all."""
    follows: Follows | None = None
    """Conditions whose questions depend on the model's answer under another."""
    chance: Annotated[float, Field(ge=0, le=1)] | None = None
    """Expected accuracy of guessing."""
    image: ImageSpec = ImageSpec()
    """What is done to every image."""
    prompt: Prompt
    """What is asked."""
    output: Output
    """What is asked back."""
    gold: Template
    """The right answer; one of the choices, where there are choices."""
    parser: ParserSpec | None = None
    """How the answer is found in generated text."""
    scorer: ScorerSpec | None = None
    """How right an answer is; absent: 1 if it equals the gold answer, else 0."""
    cases: tuple[Case, ...] = ()
    """The first whose `when` holds replaces parts of what is asked."""
    metrics: Annotated[tuple[Named, ...], Field(min_length=1)]
    """What is computed from the scored table."""
    capture: Capture | None = None
    """Which hidden states are kept, of models that show them."""
    analyses: tuple[Named, ...] = ()
    """What `vlm_eval analyze` does by default, by name, with its options."""
    subtasks: Subtasks | None = None
    """Tasks that take one value of a data option each."""

    def ask(self, condition: Condition, *, where: Callable[[PathInFile], str] = key_text) -> Ask:
        """Return what a condition asks: the task's own keys, or those of the first case that holds.

        Raises
        ------
        TaskError
            If a case's `when` uses a name that is no factor; `where` makes a place of its path.
        """
        found = {key: getattr(self, key) for key in _ASK_KEYS}
        origin: dict[str, PathInFile] = {key: (key,) for key in _ASK_KEYS}
        for i, case in enumerate(self.cases):
            if templates.holds(case.when, condition, where=where(("cases", i, "when"))):
                given = {key for key in _ASK_KEYS if getattr(case, key) is not None}
                found |= {key: getattr(case, key) for key in given}
                origin |= {key: ("cases", i, key) for key in given}
                break
        return Ask(condition, **found, origin=origin)


class Macro(Spec):
    """What is averaged over the tasks of a group, each task weighing the same."""

    scores: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of results, or globs; a result is averaged where every task has it, for the same levels
    and fields."""
    leave_out: tuple[Name, ...] = ()
    """Tasks of the group that are not averaged."""


class GroupSpec(Spec):
    """A group file: a name for several tasks."""

    group: Name
    """The group's name."""
    title: str = ""
    """One line for tables."""
    tasks: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names or globs of tasks, or names of other groups."""
    data: Literal["embedded"] | None = None
    """`embedded`: tasks asked for through this group run on embedded data unless --data says."""
    macro: Macro | None = None
    """Means over the tasks, each weighing the same; the tasks' data must have nothing in common."""
