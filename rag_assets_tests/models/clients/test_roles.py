from pathlib import Path

import pytest

from rag_assets import settings
from rag_assets.models.clients.roles import Models
from rag_assets.models.errors import WrongModelError
from rag_assets.settings import SettingsError
from rag_assets_tests.fakes import FakeChat, FakeEmbedder


@pytest.fixture
def _no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an installed package in a folder that is no home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings, "CHECKOUT", tmp_path / "site-packages")
    for name in ("RAG_HOME", "RAG_STATE", *settings.MODELS.values()):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_no_home")
def test_models_that_are_given_need_no_home() -> None:
    embedder, slm, llm = FakeEmbedder(), FakeChat(), FakeChat(name="llm")
    models = Models(embedder=embedder, slm=slm, llm=llm)
    assert (models.embedder, models.slm, models.llm) == (embedder, slm, llm)
    assert models.window.max_tokens == embedder.max_tokens - embedder.count("")


@pytest.mark.usefixtures("_no_home")
def test_what_is_not_given_is_known_without_a_home_and_found_only_with_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models = Models(embedder=FakeEmbedder())
    assert models.own_chat("slm") is None
    assert models.profile.spec("slm").role == "slm"
    with pytest.raises(SettingsError, match="expected a home"):
        _ = models.slm
    monkeypatch.setenv("RAG_SLM", "rag_assets_tests.models.clients.test_roles:small")
    assert Models().slm.model_id == "our/small"


def small(role: str) -> FakeChat:
    return FakeChat(model_id="our/small")


class Loading(FakeEmbedder):
    """Loads its weights when it is first asked how long its vectors are."""

    @property
    def dimension(self) -> int:  # type: ignore[override]
        raise AssertionError("weights were loaded before they are needed")

    @dimension.setter
    def dimension(self, value: int) -> None: ...


@pytest.mark.parametrize(
    ("role", "given", "message"),
    [
        ("embedder", FakeEmbedder, r"embedder to be an object with .*embed, count .*got the class "
         r"FakeEmbedder; make one of it: FakeEmbedder\(...\)"),
        ("embedder", "x:y", r"got 'x:y' \(str\), which has no .* stands in RAG_EMBEDDER"),
        ("embedder", FakeChat(), r"expected embedder .*\(FakeChat\), which has no dimension, max_"),
        ("slm", object(), r"expected slm to be an object with name, .*complete, count_chat \(see "
         r"rag_assets.ChatModel\); got <object .*has no name, model_id"),
        ("llm", FakeEmbedder(), r"expected llm .*which has no name, max_model_len, complete"),
    ],
)  # fmt: skip
def test_what_is_no_model_is_refused_at_the_door(role: str, given: object, message: str) -> None:
    with pytest.raises(WrongModelError, match=message):
        Models(**{role: given})  # type: ignore[arg-type]


def test_a_name_that_gives_no_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_EMBEDDER", "rag_assets_tests.fakes:FakeChat")
    with pytest.raises(WrongModelError, match="expected RAG_EMBEDDER to be an object with"):
        _ = Models().embedder


def test_a_model_is_looked_at_without_loading_it() -> None:
    assert Models(embedder=Loading()).own_embedder is not None
