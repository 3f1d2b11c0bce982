from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rag_assets.evaluations import lab as lab_module
from rag_assets.evaluations.lab import Request
from rag_assets.lake import generations
from rag_assets.lake.leases import leased
from rag_assets.lake.store import LakeError
from rag_assets.models.profiles import in_format
from rag_assets.models.protocols import Completion
from rag_assets_tests.answers.fakes import ScriptedChat
from rag_assets_tests.evaluations.lab import Bench, model, n_calls
from rag_assets_tests.suites.corpora import live_reader
from rag_assets_tests.world import CountingEmbedder

ASK = [{"role": "user", "content": "Question: When?\nAnswer:"}]


@pytest.mark.parametrize(
    ("limit", "sample", "expected"),
    [(None, 20, 20), (None, None, None), (5, 20, 5), (5, None, 5), (0, 20, None)],
)
def test_size(limit: int | None, sample: int | None, expected: int | None) -> None:
    assert Request(limit).size(sample) == expected


def test_another_format_is_another_model(bench: Bench) -> None:
    lab = bench.lab()
    spec = lab.profile.spec("llm")
    fake = ScriptedChat("llm", model, spec.model_id, spec.revision)
    for served in (*(in_format(spec, one) for one in ("bf16", "w8a8", "w4a16")), spec):
        lab.metered(fake, served).complete(ASK, max_tokens=4)  # type: ignore[arg-type]
    assert len(fake.calls) == 3
    lab.metered(fake, spec, apart=" alone").complete(ASK, max_tokens=4)  # type: ignore[arg-type]
    assert len(fake.calls) == 4


def test_clients_are_made_when_they_are_used_and_once(bench: Bench) -> None:
    asked: list[str] = []
    fake = ScriptedChat("slm", model)
    lab = bench.lab(chat=lambda role: asked.append(role) or fake)  # type: ignore[arg-type,func-returns-value,return-value]
    assert asked == []
    assert lab.slm is lab.slm
    assert asked == ["slm"]


def test_completions_are_kept_in_the_home(bench: Bench) -> None:
    first, second = bench.lab(), bench.lab()
    first.slm.complete(ASK, max_tokens=4)
    second.slm.complete(ASK, max_tokens=4)
    assert (n_calls(first), n_calls(second)) == (1, 0)
    assert len(list(bench.settings.evaluations.glob("completions-*.sqlite"))) == 1


def test_what_is_kept_apart_is_salted(bench: Bench) -> None:
    lab = bench.lab()
    salts: list[str] = []

    class Salted(ScriptedChat):
        def complete(self, *args: object, cache_salt: str = "", **kwargs: object) -> Completion:
            salts.append(cache_salt)
            return super().complete(*args, **kwargs)  # type: ignore[arg-type]

    spec = lab.profile.spec("slm")
    for apart in ("", " single"):
        lab.metered(Salted("slm", model), spec, apart=apart).complete(ASK, max_tokens=4)  # type: ignore[arg-type]
    assert salts == ["", "single"]


def test_other_flags_are_other_completions(bench: Bench) -> None:
    lab, other = bench.lab(), bench.lab()
    spec = other.profile.spec("llm")
    changed = replace(spec, flags=(*spec.flags, "--seed", "7"))
    other.profile = replace(other.profile, roles={**other.profile.roles, "llm": changed})
    lab.slm.complete(ASK, max_tokens=4)
    other.slm.complete(ASK, max_tokens=4)
    assert (n_calls(lab), n_calls(other)) == (1, 1)


def test_generation_asked_for_or_the_live_one(bench: Bench) -> None:
    lab = bench.lab()

    def leased_and_read() -> str:
        with lab.reader() as reader:
            assert list(leased(lab.store, datetime.now(UTC))) == [reader.generation.id]
        assert not leased(lab.store, datetime.now(UTC))
        return reader.generation.id

    with pytest.raises(LakeError, match=r"no generation is live in .*; run `rag refresh`"):
        leased_and_read()
    bench.golden("docs")
    older = leased_and_read()
    (bench.settings.home / "docs" / "c.md").write_text("# New\n\nA new ferry.")
    bench.golden("docs")
    newer = live_reader(lab.store).generation.id
    assert newer != older
    assert leased_and_read() == newer
    lab.request = Request(generation=older)
    assert leased_and_read() == older
    assert generations.generation_ids(lab.store) == [older, newer]


def test_a_generation_of_another_embedder_is_not_judged_by_this_one(bench: Bench) -> None:
    bench.golden("docs")
    lab = bench.lab()
    reader = live_reader(lab.store)
    assert lab.answerer(reader).embedder is lab.embedder
    other = CountingEmbedder(revision="2")
    lab.embedder_for = lambda _: other
    with pytest.raises(LakeError, match="was embedded with fake/embedder at 1, and the embedder"):
        lab.answerer(reader)


def test_progress_is_told_now_and_then_and_at_the_end(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(lab_module.time, "monotonic", lambda: now[0])
    for _ in bench.lab().each(range(10), "questions"):
        now[0] += 6
    assert bench.lines == [
        f"questions: {done} of 10, {left} s left"
        for done, left in ((2, 48), (4, 36), (6, 24), (8, 12), (10, 0))
    ]
