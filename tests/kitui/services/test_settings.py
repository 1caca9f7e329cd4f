"""The configuration file."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import SpecError
from kitui.services.settings import read_settings, remember_theme
from tests.conftest import CommandLine


@pytest.fixture
def config(home: Path) -> Path:
    path = home / "config" / "kitui" / "config.toml"
    path.parent.mkdir(parents=True)
    return path


def test_without_a_file_it_suits_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    here = read_settings()
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22")
    there = read_settings()
    assert here.animations
    assert not there.animations
    assert there.refresh_s > here.refresh_s


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('theme = "lihgt"', "textual-light"),
        ("refresh_s = 0", "0.1 to 60"),
        ('colour = "red"', "unknown key"),
        ('[keys]\n"monitor.cancle" = "x"', "monitor.cancel"),
        ('[keys]\n"monitor.cancel" = ""', "expected a key"),
        ("keys = 3", "expected a table"),
        ("[keys", "not valid TOML"),
    ],
)
def test_a_fault_is_named(config: Path, text: str, words: str) -> None:
    config.write_text(text)
    with pytest.raises(SpecError, match=words):
        read_settings()


def test_keys_are_listed_as_they_are_set(kitui: CommandLine) -> None:
    path = kitui.folder / "config" / "kitui" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text('[keys]\n"monitor.cancel" = "x,ctrl+x"\n')
    document = kitui.json("keys")
    keys = {action["id"]: action["keys"] for action in document["actions"]}
    assert keys["monitor.cancel"] == ["x", "ctrl+x"]
    assert keys["monitor.retry"] == ["r"]
    assert document["configuration"] == str(path)
    path.write_text('theme = "none"\n')
    done = kitui("keys")
    assert (done.returncode, "no such theme" in done.stderr) == (2, True)


def test_a_theme_is_remembered_and_the_rest_of_the_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "config.toml"
    monkeypatch.setenv("KITUI_CONFIG", str(path))
    remember_theme("ansi-dark")
    assert read_settings().theme == "ansi-dark"
    path.write_text('# mine\nrefresh_s = 2  # slow line\n[keys]\n"monitor.cancel" = "x"\n')
    remember_theme("high-contrast")
    assert read_settings().theme == "high-contrast"
    assert read_settings().keymap == {"monitor.cancel": "x"}
    assert "# mine" in path.read_text()
    assert "# slow line" in path.read_text()
    path.write_text("theme = [")
    with pytest.raises(SpecError, match="not valid TOML"):
        remember_theme("ansi-dark")
    assert path.read_text() == "theme = ["


@pytest.mark.parametrize(
    ("text", "words"), [("notify = 3", "expected true or false"), ('on_end = "a \'b"', "expected a command")]
)
def test_what_is_to_be_told_is_checked(config: Path, text: str, words: str) -> None:
    assert (read_settings().notify, read_settings().on_end) == (True, "")
    config.write_text('notify = false\non_end = "notify-send kitui"\n')
    assert (read_settings().notify, read_settings().on_end) == (False, "notify-send kitui")
    config.write_text(text)
    with pytest.raises(SpecError, match=words):
        read_settings()
