import pytest

from rag_assets.settings import SettingsError, load_settings


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("RAG_EXECUTOR", "celery", "in-process, multiprocess, ray; got 'celery'"),
        ("RAG_RUN_LAUNCHER", "rya", "default, ray; got 'rya'"),
        ("RAG_UI_PORT", "abc", "whole number from 0 on; got 'abc'"),
        ("RAG_ANSWERER_PORT", "-1", "whole number from 0 on; got '-1'"),
        ("RAG_RUNS_AT_ONCE", "0", "whole number from 1 on; got '0'"),
        ("RAG_RUNS_AT_ONCE", "2.5", "whole number from 1 on; got '2.5'"),
    ],
)
def test_a_value_that_means_nothing_is_refused(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"expected {name} to be .*{said}"):
        load_settings()


def test_what_is_empty_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAG_EXECUTOR", "RAG_UI_PORT", "RAG_RUNS_AT_ONCE"):
        monkeypatch.setenv(name, "")
    settings = load_settings()
    assert (settings.executor, settings.ui_port, settings.runs_at_once) == ("in-process", 3000, 4)
