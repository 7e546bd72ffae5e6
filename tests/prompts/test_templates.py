import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.core.errors import TaskError
from vlm_eval.core.types import ImageRef
from vlm_eval.prompts.templates import (
    MAX_CHARACTERS,
    check_expression,
    check_template,
    decided,
    holds,
    render,
    value,
    variables,
)

HERE = "x.yaml:3: key 'prompt'"


def test_a_template_is_sent_as_it_is_written():
    assert (
        render("\n a {{ b }} & <c>\n", {"b": "'x' & <y>"}, where=HERE) == "\n a 'x' & <y> & <c>\n"
    )


@given(st.text())
def test_what_a_field_holds_is_text_and_never_a_template(text):
    assert render("{{ x }}", {"x": text + "{{ 7 * 7 }}{% raw %}"}, where=HERE) == (
        text + "{{ 7 * 7 }}{% raw %}"
    )


@pytest.mark.parametrize("call", [render, holds])
def test_an_undefined_name_suggests_the_nearest(call):
    template = "{{ promt }}" if call is render else "promt == 'a'"
    with pytest.raises(TaskError) as caught:
        call(template, {"prompt": "p", "answer": "a"}, where=HERE)
    assert str(caught.value) == f"{HERE}: 'promt' is undefined; did you mean prompt?"


def test_an_undefined_name_alone_is_an_error_too():
    with pytest.raises(TaskError, match="'b' is undefined"):
        holds("b", {"a": 1}, where=HERE)
    with pytest.raises(TaskError, match="'b' is undefined"):
        value("{{ b }}", {"a": 1}, where=HERE)


@pytest.mark.parametrize(
    "template",
    [
        "{{ x.__class__ }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ x.append(1) }}",
        "{{ x.clear() }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ range(10 ** 9) | list }}",
        "{{ 1 / 0 }}",
        "{{ x[9] }}",
        "{{ x + 1 }}",
        "{{ '%d' | format('a') }}",
        "{% include 'other' %}",
        "{% import 'os' as os %}",
        "{{ 'a' * 10 ** 9 }}",
        "{{ x * 10 }}",
        "{{ 9 ** 9 }}",
        "{{ lipsum() }}",
        "{{ none }}",
        "{{ x[5:][0] | default(none) }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    ],
)
def test_what_cannot_or_must_not_be_computed_is_a_task_error(template):
    x = [1, 2]
    with pytest.raises(TaskError, match=r"^x\.yaml:3: key 'prompt': "):
        render(template, {"x": x}, where=HERE)
    assert x == [1, 2]


def test_expressions_are_true_or_false():
    assert holds(None, {}, where=HERE)
    assert holds("a in ('x', 'y') and b > 2", {"a": "x", "b": 3}, where=HERE)
    assert not holds("a", {"a": ""}, where=HERE)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("{{ n }}", 5),
        (" {{ n + 1 }} ", 6),
        ("{{ f }}", 0.5),
        ("{{ t }}", True),
        ("{{ n }}px", "5px"),
        ("{{ n }}{{ n }}", "55"),
        ("plain", "plain"),
        (7, 7),
        (None, None),
        (["{{ n }}", {"k": "{{ s }}"}], [5, {"k": "five"}]),
    ],
)
def test_an_option_that_is_one_expression_keeps_its_type(option, expected):
    found = value(option, {"n": 5, "f": 0.5, "t": True, "s": "five"}, where=HERE)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("template", ["{{ a", "{% if a %}", "{{ a | nofilter }}", "{{ }}"])
def test_template_syntax_is_checked(template):
    with pytest.raises(ValueError, match="template syntax"):
        check_template(template)


@pytest.mark.parametrize("expression", ["a ==", "(a", "a b", "a = 1"])
def test_expression_syntax_is_checked(expression):
    with pytest.raises(ValueError, match="template syntax"):
        check_expression(expression)
    assert check_expression("a == 1") == "a == 1"


def test_a_draw_of_lots_is_no_filter():
    with pytest.raises(ValueError, match="random"):
        check_template("{{ x | random }}")


def test_a_template_nested_too_deeply_is_a_syntax_fault():
    with pytest.raises(ValueError, match="template syntax"):
        check_template("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}")


def test_the_line_of_a_syntax_fault_is_named():
    with pytest.raises(ValueError, match=r"template syntax: .*\(line 3 of it\)"):
        check_template("a\nb\n{{ c d }}\n")


def test_numbers_may_be_multiplied():
    assert render("{{ 3 * n }}", {"n": 0.5}, where=HERE) == "1.5"


def test_text_stops_growing_at_the_cap():
    fits = "{% for a in range(1000) %}{{ s }}{% endfor %}"
    assert len(render(fits, {"s": "x" * 1000}, where=HERE)) == MAX_CHARACTERS
    with pytest.raises(TaskError, match="more than 1,000,000 characters"):
        render(fits + "y", {"s": "x" * 1000}, where=HERE)


def _image() -> ImageRef:
    def load():
        raise AssertionError("a template has loaded an image")

    return ImageRef(key="k", load=load, label="board.png")


def test_an_image_is_not_text():
    with pytest.raises(TaskError, match="an image is not text"):
        render("see {{ board }}", {"board": _image()}, where=HERE)


@pytest.mark.parametrize("reach", ["board.load()", "board['load']()", "board | attr('load')"])
def test_a_template_cannot_reach_into_an_image(reach):
    with pytest.raises(TaskError):
        render("{{ " + reach + " }}", {"board": _image()}, where=HERE)
    with pytest.raises(TaskError):
        holds(f"({reach}) == 1", {"board": _image()}, where=HERE)


def test_a_context_may_use_any_name():
    context = {"result": 1, "self": 2, "context": 3}
    assert holds("result == 1 and context == 3", context, where=HERE)
    assert value("{{ result }}", context, where=HERE) == 1


def test_the_names_that_a_template_needs():
    template = "{% set d = 1 %}{{ a.b + d }}{% if c is defined %}c{% endif %}{{ range(e) }}"
    assert variables(template) == {"a", "c", "e"}


SCALARS = st.text() | st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none()


@given(a=SCALARS, b=SCALARS | st.lists(st.integers()))
def test_plain_templates_and_expressions_are_what_jinja_makes_of_them(a, b):
    def outcome(call, source):
        try:
            return call(source, {"a": a, "b": b}, where=HERE)
        except TaskError as error:
            return error.hint, error.where

    assert outcome(render, "{{ a }} of {{ b }}") == outcome(render, "{{ a }} of {{ (b,)[0] }}")
    assert outcome(holds, "a == b") == outcome(holds, "a == (b, [])[0]")
    assert outcome(value, "{{ a }}") == outcome(value, "{{ (a,)[0] }}")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (None, True), ("blur == 5", True), ("blur > 5", False), ("blur", True),
        ("blur == 5 and word == 'rose'", None), ("word", None), ("blur < word", None),
        ("blur < 'five'", None), ("blur / 0", None),
    ],
)  # fmt: skip
def test_what_some_names_decide_whatever_the_others_are(expression, expected):
    assert decided(expression, {"blur": 5}) is expected
