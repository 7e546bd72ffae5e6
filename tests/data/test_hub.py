import socket

import datasets.config
import huggingface_hub.constants
import huggingface_hub.utils
import pytest

from vlm_eval.cli.main import main
from vlm_eval.data import hub
from vlm_eval.data.tables import open_hub


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def unused():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return f"http://127.0.0.1:{closed.getsockname()[1]}"


def test_a_server_is_reachable_or_not(server, unused, monkeypatch):
    monkeypatch.setattr(hub, "getproxies", dict)
    assert hub.reachable(server)
    assert not hub.reachable(unused)
    assert not hub.reachable("https://nowhere.invalid")
    monkeypatch.setattr(hub, "getproxies", lambda: {"https": "http://proxy"})
    assert hub.reachable("https://nowhere.invalid")


@pytest.mark.parametrize("there", [True, False])
def test_without_a_hub_its_libraries_are_offline_for_that_long(there, monkeypatch):
    for place in (datasets.config, huggingface_hub.constants):
        monkeypatch.setattr(place, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "reachable", lambda _: there)
    with hub.at_once():
        assert datasets.config.HF_HUB_OFFLINE is not there
        assert huggingface_hub.constants.HF_HUB_OFFLINE is not there
    assert datasets.config.HF_HUB_OFFLINE is huggingface_hub.constants.HF_HUB_OFFLINE is False


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "test.jsonl").write_text('{"id": 1}\n' * 3)
    return str(tmp_path)


def loaded(folder, cache, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    return len(open_hub(folder, split="test"))


def test_bars_are_shown_or_not_and_then_as_before(folder, tmp_path, capfd, monkeypatch):
    assert loaded(folder, tmp_path / "one", monkeypatch) == 3
    assert "Generating test split" in capfd.readouterr().err
    with hub.progress_bars(shown=False):
        assert loaded(folder, tmp_path / "two", monkeypatch) == 3
    assert capfd.readouterr().err == ""
    assert not datasets.are_progress_bars_disabled()
    assert not huggingface_hub.utils.are_progress_bars_disabled()
    loaded(folder, tmp_path / "three", monkeypatch)
    assert "Generating test split" in capfd.readouterr().err


def test_what_was_off_stays_off(folder, tmp_path, monkeypatch):
    datasets.disable_progress_bars()
    try:
        with hub.progress_bars(shown=False), hub.progress_bars(shown=True):
            loaded(folder, tmp_path / "one", monkeypatch)
            assert datasets.are_progress_bars_disabled()
        with hub.progress_bars(shown=False):
            loaded(folder, tmp_path / "two", monkeypatch)
        assert datasets.are_progress_bars_disabled()
    finally:
        datasets.enable_progress_bars()


def test_a_quiet_run_shows_nothing_of_the_data(folder, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "task.yaml").write_text(
        """
task: quiet
version: 1.0.0
title: Quiet
data: {source: table}
sample_id: "{{ row }}"
prompt: {template: "Yes or no?"}
output: {kind: choice, choices: ["Yes", "No"]}
gold: "Yes"
metrics: [accuracy]
"""
    )
    command = ["run", "--model", "mock", "--tasks", "quiet", "--include_path", str(tmp_path)]
    command += ["--data", f"quiet=hub:{folder}", "--output_path", str(tmp_path / "run"), "--quiet"]
    assert main(command) == 0
    assert "Generating" not in capfd.readouterr().err
