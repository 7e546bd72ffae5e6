"""What run.json says about machine and software."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path

from vlm_eval.core.hashing import canonical_json
from vlm_eval.runner import provenance


def test_a_session_is_json_and_names_versions() -> None:
    session = provenance.session(["vlm_eval", "run"], {"batch_size": 4})
    canonical_json(session)
    assert session["command"] == ["vlm_eval", "run"]
    assert session["options"] == {"batch_size": 4}
    assert session["versions"]["numpy"] == version("numpy")
    assert session["versions"]["torch"] == version("torch")
    assert session["started"].endswith("+00:00")
    assert session["hardware"]["memory_bytes"] > 2**28


def test_a_package_that_is_not_there_is_unknown(monkeypatch) -> None:
    monkeypatch.setattr(provenance, "PACKAGES", ("no-such-package",))
    assert provenance.versions() == {"no-such-package": None}


def test_the_commit_is_that_of_the_checkout(tmp_path: Path, monkeypatch) -> None:
    package = tmp_path / "vlm_eval" / "runner"
    package.mkdir(parents=True)
    module = package / "provenance.py"
    module.write_text("x")
    monkeypatch.setattr(provenance, "__file__", str(module))
    assert provenance.commit() is None  # no checkout

    def git(*arguments: str) -> str:
        author = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(
            ["git", "-C", str(tmp_path), *author, *arguments],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()

    git("init")
    assert provenance.commit() is None  # no commit yet
    git("add", ".")
    git("commit", "-m", "one")
    assert provenance.commit() == git("rev-parse", "HEAD")
    module.write_text("y")
    assert provenance.commit() == git("rev-parse", "HEAD") + "+dirty"
