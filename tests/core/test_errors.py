import pytest

from vlm_eval.core import errors
from vlm_eval.core.errors import VlmEvalError, did_you_mean


def test_a_message_is_one_line_with_place_fault_and_remedy():
    error = errors.TaskError("unknown key\n'promt'", where="a.yaml:3", hint="did you mean prompt?")
    assert str(error) == "a.yaml:3: unknown key 'promt'; did you mean prompt?"
    assert (error.what, error.where) == ("unknown key\n'promt'", "a.yaml:3")


def test_place_and_remedy_are_optional():
    assert str(errors.RunError("no run here")) == "no run here"


@pytest.mark.parametrize("name", ["UsageError", "TaskError", "DataError", "ModelError", "RunError"])
def test_every_kind_is_caught_as_one(name):
    with pytest.raises(VlmEvalError):
        raise getattr(errors, name)("x")


def test_missing_data_says_how_to_give_it_to_the_task_that_asks():
    error = errors.MissingData("there is no copy of X", layout="DIR/a.json and DIR/images")
    assert isinstance(error, errors.DataError)
    assert str(error.of_task("x")) == (
        "task x: there is no copy of X; give a local copy with --data x=PATH (DIR/a.json and "
        "DIR/images), or --data x=embedded runs the synthetic stand-in"
    )
    online = errors.MissingData("none", layout="DIR/a.json", hub="owner/x").of_task("x")
    assert "--data x=hub:owner/x" in str(online)
    assert (online.layout, online.hub) == ("DIR/a.json", "owner/x")


def test_the_nearest_names_are_suggested():
    known = ["gaussian_blur", "motion_blur", "identity"]
    assert did_you_mean("gausian_blur", known).startswith("did you mean gaussian_blur")


def test_without_a_near_name_the_known_ones_are_listed():
    assert did_you_mean("qqqq", ["b", "a", "a"]) == "known: a, b"
    many = did_you_mean("qqqq", [f"name{i:02d}" for i in range(30)])
    assert many.endswith(", ...")
    assert many.count(",") == 12


def test_nothing_known_says_so():
    assert did_you_mean("x", []) == "none are known"


def test_capitals_do_not_make_a_name_far():
    assert did_you_mean("VLM-Fix", ["vlm-fix", "zzz"]) == "did you mean vlm-fix?"
    assert did_you_mean("ab", ["AB", "Ab"]) == "did you mean AB or Ab?"
