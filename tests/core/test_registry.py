import pytest

from vlm_eval.core.errors import UsageError
from vlm_eval.core.registry import BUILT_IN, Registry
from vlm_eval.data.base import SOURCES
from vlm_eval.metrics.table import METRICS
from vlm_eval.parsers.base import PARSERS
from vlm_eval.transforms.base import TRANSFORMS


@pytest.fixture
def registry():
    targets = {"join": "os.path:join", "gone": "os.path:absent", "none": "no_such_module:x"}
    return Registry("thing", targets, "vlm_eval.test_nothing")


def test_names_resolve_on_first_use(registry):
    import os.path

    assert registry.get("join") is os.path.join


def test_an_unknown_name_brings_the_nearest(registry):
    with pytest.raises(UsageError, match="unknown thing 'joni'; did you mean join"):
        registry.get("joni")


@pytest.mark.parametrize("name", ["gone", "none"])
def test_a_broken_entry_is_reported_only_when_asked_for(registry, name):
    assert name in registry
    assert registry.names() == ["gone", "join", "none"]
    with pytest.raises(UsageError, match="does not load"):
        registry.get(name)


@pytest.mark.parametrize("registry", [SOURCES, METRICS, PARSERS, TRANSFORMS], ids=lambda r: r.kind)
def test_everything_that_ships_loads(registry):
    assert registry.names()
    for name in registry:
        assert isinstance(registry.get(name), type)


def test_entry_points_of_other_packages_are_found(monkeypatch, registry):
    from importlib.metadata import EntryPoint

    point = EntryPoint("theirs", "os.path:basename", "vlm_eval.test_nothing")
    monkeypatch.setattr("vlm_eval.core.registry.entry_points", lambda **_: [point])
    import os.path

    assert "theirs" in registry
    assert registry.get("theirs") is os.path.basename


def test_the_origin_of_a_name_is_its_distribution(plugin):
    registry = Registry("thing", {"own": "json:loads"}, "vlm_eval.things")
    plugin("vlm_eval.things", own="json:dumps", other="no_such_module:thing")
    assert registry.origin("own") == BUILT_IN
    assert registry.origin("other").endswith(" 1.0")
    with pytest.raises(UsageError, match="unknown thing 'othr'; did you mean other"):
        registry.origin("othr")
