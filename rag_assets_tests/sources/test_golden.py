import json
from pathlib import Path

import pytest

from rag_assets.settings import CHECKOUT
from rag_assets.sources.catalog import Source, declared
from rag_assets.sources.golden import Case, CaseError, load_cases

ENTRY = {"id": "a", "kind": "lookup", "question": "When?", "answers": ["1994"], "documents": ["x"]}


def source(folder: Path, *lines: object) -> Source:
    path = folder / "golden.jsonl"
    path.write_text(
        "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    )
    return Source("docs", "folder", str(folder), golden=str(path))


def test_forms(tmp_path: Path) -> None:
    several = {
        **ENTRY, "id": "b", "kind": "multi", "answers": [], "answers_all": [["1", "one"], ["2"]],
        "documents": ["x", "y"],
    }  # fmt: skip
    none = {**ENTRY, "id": "c", "kind": "unanswerable", "answers": [], "documents": []}
    assert load_cases(source(tmp_path, ENTRY, "", several, none)) == [
        Case("a", "lookup", "When?", (("1994",),), ("docs:x",)),
        Case("b", "multi", "When?", (("1", "one"), ("2",)), ("docs:x", "docs:y")),
        Case("c", "unanswerable", "When?", (), ()),
    ]


def test_source_without_questions(tmp_path: Path) -> None:
    assert load_cases(Source("docs", "folder", str(tmp_path))) == []


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="source docs: no golden questions"):
        load_cases(Source("docs", "folder", str(tmp_path), golden=str(tmp_path / "absent")))


@pytest.mark.parametrize(
    "line",
    [
        "not JSON",
        "[]",
        '"text"',
        {k: v for k, v in ENTRY.items() if k != "question"},
        {**ENTRY, "id": "b", "kind": "riddle"},
        {**ENTRY, "id": "b", "documents": "x"},
        {**ENTRY, "id": "b", "answers": []},  # any answer would be right
        {**ENTRY, "id": "b", "kind": "unanswerable"},
        {**ENTRY, "id": "b", "answers": "1994"},
        {**ENTRY, "id": "b", "answers_all": ["1994"]},
        ENTRY,  # the id of the line before
    ],
)
def test_wrong_line_is_named(tmp_path: Path, line: object) -> None:
    with pytest.raises(CaseError, match=r"golden\.jsonl, line 2: expected an object with id"):
        load_cases(source(tmp_path, ENTRY, line))


def test_sample_questions_name_files_that_exist() -> None:
    for found in declared(CHECKOUT / "data" / "sources.yaml").values():
        for case in load_cases(found):
            for uri in case.uris:
                assert (Path(found.where) / uri.partition(":")[2]).is_file(), (case.id, uri)
