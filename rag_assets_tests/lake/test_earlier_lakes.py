"""A lake that an earlier version wrote is answered from at once, and goes on."""

from pathlib import Path

import pytest

from rag_assets import Answerer
from rag_assets.lake.store import FORMAT, LakeStore
from rag_assets_tests.answers.fakes import ScriptedChat, WordEmbedder, copies
from rag_assets_tests.earlier_lake import refreshed, unpacked


def answer(lake: Path, question: str) -> str:
    chat, store = ScriptedChat("slm", copies), LakeStore(str(lake))
    with Answerer.open(store, slm=chat, llm=chat, embedder=WordEmbedder()) as answerer:
        return answerer.answer(question).answer


@pytest.mark.parametrize("number", range(1, FORMAT + 1))  # the first one that was stated is 1
def test_it_is_answered_from_and_brought_up_to_date(
    tmp_path: Path, in_process: None, number: int
) -> None:
    unpacked(number, tmp_path)
    store = LakeStore(str(tmp_path / "lake"))
    assert store.get_record("format")["format"] == number
    assert "2003" in answer(tmp_path / "lake", "When was MV Tern built?")
    (tmp_path / "fleet" / "auk.md").write_text("# MV Auk\n\nMV Auk was built in 1988.\n")
    done = refreshed(tmp_path)
    assert done.stages["source_files"].new == 1
    assert not done.rejects
    assert store.get_record("format")["format"] == FORMAT
    assert "1988" in answer(tmp_path / "lake", "When was MV Auk built?")
    assert "2003" in answer(tmp_path / "lake", "When was MV Tern built?")
    assert refreshed(tmp_path).generation_id == done.generation_id
