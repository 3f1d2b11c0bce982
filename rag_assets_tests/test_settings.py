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
        ("RAG_HOST", "localhost", "an IPv4 address of this machine, .* got 'localhost'"),
        ("RAG_HOST", "::1", "an IPv4 address .* got '::1'"),
        ("RAG_ALLOWED_HOSTS", "a.org,*", "names such as .* got '[*]'"),
        ("RAG_ALLOWED_HOSTS", "a.org:443", "without port .* got 'a.org:443'"),
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


@pytest.mark.parametrize(
    ("host", "names", "url", "hosts", "is_exposed"),
    [
        ("", "", "http://127.0.0.1:8460", ("127.0.0.1",), False),
        ("127.0.0.2", "", "http://127.0.0.2:8460", ("127.0.0.2",), False),
        ("0.0.0.0", "", "http://127.0.0.1:8460", (), True),
        ("10.1.2.3", "", "http://10.1.2.3:8460", ("10.1.2.3",), True),
        ("", "a.org, *.b.org", "http://127.0.0.1:8460", ("127.0.0.1", "a.org", "*.b.org"), True),
    ],
)
def test_where_the_answerer_is_reached(
    host: str,
    names: str,
    url: str,
    hosts: tuple[str, ...],
    is_exposed: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAG_HOST", host)
    monkeypatch.setenv("RAG_ALLOWED_HOSTS", names)
    monkeypatch.setenv("RAG_ANSWERER_PORT", "8460")
    settings = load_settings()
    assert (settings.answerer_url, settings.hosts, settings.is_exposed) == (url, hosts, is_exposed)
