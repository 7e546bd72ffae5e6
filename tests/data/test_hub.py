import socket

import datasets.config
import huggingface_hub.constants
import pytest

from vlm_eval.data import hub


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
