"""Which version a question names."""

import pytest

from rag_assets.retrieval.versions import names_version
from rag_assets_tests.answers.world import Doc, chunks_of


@pytest.mark.parametrize(
    ("question", "title", "named"),
    [
        ("What did release 2.1 add?", "Release 2.1", True),
        ("What does Quillbase v2.1 do?", "Release 2.1", True),
        ("What does Quillbase 2.1 do?", "Release 2.1", True),
        ("What did release 2.10 add?", "Release 2.1", False),
        ("What did release 2.1 add?", "Release 2.10", False),
        ("What did 12.2.1 add?", "Release 2.1", False),
        ("What did it add?", "Release 2.1", False),
        ("What did version 3 add?", "Manual v3", True),
        ("How long do 3 boats take?", "Manual v3", False),
        ("What does rev B say?", "Sheet rev B", True),
        ("Is plan b good?", "Sheet rev B", False),
        ("What did release 2.1 add?", "The boat", False),
    ],
)
def test_a_question_names_the_version_of_a_document(
    question: str, title: str, *, named: bool
) -> None:
    chunk = chunks_of(Doc("docs:a.md", title, (("Text", "It adds seats."),)))[0]
    assert names_version(question, chunk) is named
