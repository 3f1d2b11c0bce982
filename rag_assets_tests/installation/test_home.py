from pathlib import Path

import pytest

from rag_assets.installation.home import FILES, TEMPLATES, file_of, make_home, set_in_home
from rag_assets.settings import CHECKOUT, SettingsError, load_settings, read_env_file
from rag_assets.sources.catalog import declared


def test_a_home_is_written_once_and_never_over_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "sources.yaml").write_text("sources: [] # mine")
    assert make_home(tmp_path) == ["dagster.yaml", "workspace.yaml", ".env"]
    assert make_home(tmp_path) == []
    assert (tmp_path / "sources.yaml").read_text() == "sources: [] # mine"


def test_a_new_home_declares_nothing_and_sets_nothing(tmp_path: Path) -> None:
    make_home(tmp_path / "new")
    assert declared(tmp_path / "new" / "sources.yaml") == {}
    lines = (tmp_path / "new" / ".env").read_text().splitlines()
    assert all(line.startswith("#") for line in lines)


def test_settings_of_a_new_home_are_settings() -> None:
    from rag_assets import settings

    named = [line[1:].split("=")[0] for line in (TEMPLATES / ".env").read_text().splitlines()[1:]]
    assert named
    assert all(name in (settings.__doc__ or "") for name in named)


def test_the_checkout_has_the_files_that_the_package_brings() -> None:
    for name in ("dagster.yaml", "workspace.yaml"):
        assert (CHECKOUT / name).read_bytes() == (TEMPLATES / name).read_bytes()


def test_files_of_the_home_win_over_the_packages(tmp_path: Path) -> None:
    assert file_of(tmp_path, "workspace.yaml") == TEMPLATES / "workspace.yaml"
    make_home(tmp_path)
    assert [file_of(tmp_path, name) for name in FILES] == [tmp_path / name for name in FILES]


def test_home_is_named_or_here_or_the_checkouts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAG_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert load_settings().home == CHECKOUT / "data"
    make_home(tmp_path)
    assert load_settings().home == tmp_path
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "other"))
    assert load_settings().home == tmp_path / "other"


def test_without_a_home_a_sentence_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAG_HOME", raising=False)
    monkeypatch.setattr("rag_assets.settings.CHECKOUT", tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match="rag init"):
        load_settings()


def test_the_environment_wins_over_the_homes_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    monkeypatch.setenv("RAG_UI_PORT", "3001")
    monkeypatch.setenv("RAG_ANSWERER_PORT", "restored after the test")
    monkeypatch.delenv("RAG_ANSWERER_PORT")
    (tmp_path / ".env").write_text("RAG_UI_PORT=3002\nRAG_ANSWERER_PORT=3003\n")
    read_env_file()
    assert (load_settings().ui_port, load_settings().answerer_port) == (3001, 3003)


def test_a_setting_is_added_once(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("#RAG_ENGINE_PYTHON=\nRAG_UI_PORT=1")
    assert set_in_home(tmp_path, "RAG_ENGINE_PYTHON", "/a/bin/python")
    assert not set_in_home(tmp_path, "RAG_ENGINE_PYTHON", "/b/bin/python")
    lines = (tmp_path / ".env").read_text().splitlines()
    assert lines[1:] == ["RAG_UI_PORT=1", "RAG_ENGINE_PYTHON=/a/bin/python"]
