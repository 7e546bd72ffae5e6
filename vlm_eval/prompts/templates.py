"""Templates and expressions of task files: Jinja in its immutable sandbox, strict about names.

A *template* makes text (``"{{ game }}-{{ state_id }}"``), an *expression* makes a value
(``order == 'image_first'``). Neither can call Python, change a value, draw a random number or reach
into an image, and an undefined name is an error that suggests the nearest one. Text is made
verbatim: nothing is escaped, because a prompt is not HTML.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, TypeAlias

from jinja2 import (
    StrictUndefined,
    Template,
    TemplateError,
    TemplateSyntaxError,
    UndefinedError,
    nodes,
)
from jinja2.environment import TemplateExpression
from jinja2.exceptions import SecurityError
from jinja2.meta import find_undeclared_variables
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from vlm_eval.core.errors import TaskError, did_you_mean
from vlm_eval.core.types import ImageRef, Level

MAX_CHARACTERS = 1_000_000
"""A template that makes more text than this is at fault."""

Where: TypeAlias = str | Callable[[], str]
"""File, line and key of a template, for messages; a function is called only if there is one."""

_LONE_EXPRESSION = re.compile(r"\{\{(?P<expression>(?:(?!\}\}).)*)\}\}", re.DOTALL)
_SPECIAL = re.compile(r"[{\r]")  # what a template does not leave as it is
_SCALARS = frozenset([str, int, float, bool])
_JINJAS_OWN = frozenset(["self", "result"])  # names that do not mean the context's
# What the values of a row can make a well-formed template raise.
_FAULTS = (
    TemplateError,
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    RecursionError,
)


def _printable(value: Any) -> Any:
    if isinstance(value, ImageRef):
        raise TypeError("an image is not text, give it as a part {image: its field}")
    if value is None:
        raise TypeError("a field is null, which has no text")
    return value


class _Sandbox(ImmutableSandboxedEnvironment):
    # "x" * 10**9 would fill the memory before any cap on the output could apply.
    intercepted_binops = frozenset(["*", "**"])

    def __init__(self) -> None:
        # keep_trailing_newline: a prompt is sent as it is written, down to its last line end.
        super().__init__(
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            autoescape=False,
            finalize=_printable,
        )
        del self.globals["lipsum"], self.filters["random"]  # random: a run could not be repeated

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        # A plain dictionary, which every rendering copies, where Jinja has a slow chain of two.
        return {**self.globals, **(d or {})}

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" or not all(isinstance(side, int | float) for side in (left, right)):
            raise SecurityError(f"{operator} is for products of two numbers only")
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        # Through an image's loader a template would reach Pillow's save.
        return not isinstance(obj, ImageRef) and super().is_safe_attribute(obj, attr, value)


_SANDBOX = _Sandbox()


@lru_cache(maxsize=4096)
def _template(source: str) -> Template:
    return _SANDBOX.from_string(source)


@lru_cache(maxsize=4096)
def _expression(source: str) -> TemplateExpression:
    return _SANDBOX.compile_expression(source, undefined_to_none=False)


def check_template(source: str) -> str:
    """Return the template unchanged; raise ValueError if its syntax is wrong."""
    return _checked(source, _template)


def check_expression(source: str) -> str:
    """Return the expression unchanged; raise ValueError if its syntax is wrong."""
    return _checked(source, _expression)


def check_lone_expression(source: str) -> str:
    """Return a template that is one expression unchanged; raise ValueError if it is none."""
    lone = _LONE_EXPRESSION.fullmatch(source.strip())
    if lone is None:
        raise ValueError('must be a list, or one expression that gives a list: "{{ options }}"')
    _checked(lone["expression"], _expression)
    return source


def _checked(source: str, compile_: Callable[[str], object]) -> str:
    try:
        compile_(source)
    except TemplateSyntaxError as error:
        line = f" (line {error.lineno} of it)" if "\n" in source else ""
        raise ValueError(f"template syntax: {error.message}{line}") from error
    except (SyntaxError, RecursionError) as error:
        raise ValueError(f"template syntax: nested too deeply ({error})") from error
    return source


def variables(source: str) -> frozenset[str]:
    """Return the names that a template takes from its context.

    Parameters
    ----------
    source
        A template. For an expression, give ``"{{ " + expression + " }}"``.
    """
    return frozenset(find_undeclared_variables(_SANDBOX.parse(source)) - set(_SANDBOX.globals))


def render(source: str, context: Mapping[str, Any], *, where: Where) -> str:
    """Return the text of a template.

    Parameters
    ----------
    source
        The template.
    context
        What it may use, by name.
    where
        File, line and key of the template, for the message.

    Raises
    ------
    TaskError
        If it uses an undefined name, prints an image or a null, makes more than
        `MAX_CHARACTERS`, or cannot be computed from these values.
    """
    filled = _filled(source, context)
    if filled is not None:
        return filled
    return str(_run(source, context, where, lambda: _text(source, context)))


def holds(source: str | None, context: Mapping[str, Any], *, where: Where) -> bool:
    """Return whether an expression is true; an absent one is. Raises TaskError as `render`."""
    if source is None:
        return True
    try:
        return _truth(source, context)
    except _FAULTS as error:
        raise _fault(error, source, context, where) from error


def decided(source: str | None, context: Mapping[str, Any]) -> bool | None:
    """Return what `holds` gives in every context that has these names; None if that depends."""
    if source is None:
        return True
    if not variables(f"{{{{ {source} }}}}") <= context.keys():
        return None
    try:
        return _truth(source, context)
    except _FAULTS:  # the message is the better one that `holds` gives
        return None


def value(option: Any, context: Mapping[str, Any], *, where: Where) -> Any:
    """Return an option with its templates replaced, at any depth of lists and mappings.

    A string that is one expression keeps the type of its value, so that ``"{{ blur }}"`` is the
    integer 5 where the level is 5. Raises TaskError as `render`.
    """
    if isinstance(option, Mapping):
        return {key: value(item, context, where=where) for key, item in option.items()}
    if isinstance(option, (list, tuple)):
        return [value(item, context, where=where) for item in option]
    if not isinstance(option, str):
        return option
    lone = _LONE_EXPRESSION.fullmatch(option.strip())
    if lone is None:
        return render(option, context, where=where)
    pieces = _pieces(option.strip())
    if pieces is not None and pieces[0][0] in context:  # one name, as there is one expression
        return context[pieces[0][0]]
    found = _run(option, context, where, lambda: _expression(lone["expression"])(context))
    if isinstance(found, StrictUndefined):
        what = f"{lone['expression'].strip()!r} is undefined"
        raise _undefined(option, context, _place(where), what)
    return found


def is_constant(option: Any) -> bool:
    """Return whether an option holds no template at any depth."""
    if isinstance(option, Mapping):
        return all(map(is_constant, option.values()))
    if isinstance(option, (list, tuple)):
        return all(map(is_constant, option))
    return not isinstance(option, str) or not _SPECIAL.search(option)


@lru_cache(maxsize=4096)
def _pieces(source: str) -> tuple[tuple[str, bool], ...] | None:
    """Return the texts and the names (True) that a template strings together; None if it does more.

    Most templates of task files are that simple, and take Jinja thirty times as long.
    """
    if not _SPECIAL.search(source):
        return ((source, False),)
    pieces: list[tuple[str, bool]] = []
    try:
        body = _SANDBOX.parse(source).body
    except _FAULTS:
        return None
    for output in body:
        for node in output.nodes if isinstance(output, nodes.Output) else [output]:
            if isinstance(node, nodes.TemplateData):
                pieces.append((node.data, False))
            elif isinstance(node, nodes.Name) and node.name not in _JINJAS_OWN:
                pieces.append((node.name, True))
            else:
                return None
    return tuple(pieces)


def _filled(source: str, context: Mapping[str, Any]) -> str | None:
    """Return the text of a template of texts and scalar fields; None if it takes Jinja."""
    pieces = _pieces(source)
    if pieces is None:
        return None
    if len(pieces) == 1:
        piece, is_name = pieces[0]
        if not is_name:
            return piece
        found = context.get(piece)
        if type(found) is str and len(found) <= MAX_CHARACTERS:
            return found
    texts = []
    for piece, is_name in pieces:
        if is_name:
            found = context.get(piece)
            if type(found) not in _SCALARS:
                return None
            piece = str(found)
        texts.append(piece)
    text = "".join(texts)
    return text if len(text) <= MAX_CHARACTERS else None


def _truth(expression: str, context: Mapping[str, Any]) -> bool:
    names = _names(expression)
    values = [context.get(name) for name in names]
    if _SCALARS.issuperset(map(type, values)):
        return _holds(expression, names, *values)
    return bool(_expression(expression)(context))


@lru_cache(maxsize=4096)
def _names(expression: str) -> tuple[str, ...]:
    """Return the names that an expression may take from its context."""
    found = _SANDBOX.parse(f"{{{{ {expression} }}}}").find_all(nodes.Name)
    return tuple(sorted({node.name for node in found}))


@lru_cache(maxsize=4096, typed=True)
def _holds(expression: str, names: tuple[str, ...], *values: Level) -> bool:
    """Return whether an expression of scalars is true; few of them occur, each many times."""
    return bool(_expression(expression)(dict(zip(names, values, strict=True))))


def _text(source: str, context: Mapping[str, Any]) -> str:
    pieces: list[str] = []
    size = 0
    for piece in _template(source).generate(context):
        pieces.append(piece)
        size += len(piece)
        if size > MAX_CHARACTERS:
            raise ValueError(f"it makes more than {MAX_CHARACTERS:,} characters")
    return "".join(pieces)


def _run(source: str, context: Mapping[str, Any], where: Where, compute: Callable[[], Any]) -> Any:
    try:
        return compute()
    except _FAULTS as error:
        raise _fault(error, source, context, where) from error


def _fault(error: Exception, source: str, context: Mapping[str, Any], where: Where) -> TaskError:
    if isinstance(error, UndefinedError):
        return _undefined(source, context, _place(where), error.message or "undefined")
    return TaskError(f"{source!r} fails: {error}", where=_place(where))


def _place(where: Where) -> str:
    return where if isinstance(where, str) else where()


def _undefined(source: str, context: Mapping[str, Any], where: str, message: str) -> TaskError:
    text = source if "{{" in source or "{%" in source else f"{{{{ {source} }}}}"
    names = sorted(variables(text) - set(context))
    if not names:
        return TaskError(message, where=where)
    return TaskError(
        f"{names[0]!r} is undefined", where=where, hint=did_you_mean(names[0], context)
    )
