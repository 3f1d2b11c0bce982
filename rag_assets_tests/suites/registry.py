"""The suites on public data, by name."""

from collections.abc import Callable, Mapping, Sequence

from rag_assets.evaluations.lab import Lab
from rag_assets.evaluations.presentation import View
from rag_assets.evaluations.registry import Suite
from rag_assets.evaluations.results import CaseResult
from rag_assets_tests.suites import headline, mixed, public, views
from rag_assets_tests.suites.ablation import ablation
from rag_assets_tests.suites.conversations import conversations
from rag_assets_tests.suites.injection import injection
from rag_assets_tests.suites.ladders import LADDERS, ladders
from rag_assets_tests.suites.wordings import wordings

COMMAND = "python -m rag_assets_tests.suites"


def _suite(
    run: Callable[[Lab], list[CaseResult]], view: View, description: str
) -> tuple[str, Suite]:
    name = run.__name__
    return name, Suite(description, run, f"{COMMAND} {name}", view)


SUITES: Mapping[str, Suite] = dict([
    _suite(
        public.retrieval, views.RANKED,
        "BM25, vectors and both on SciFact, Cranfield, CISI and DBpedia; no chat model.",
    ),
    _suite(
        public.answers, views.ASKED,
        "SQuAD 2, HotpotQA, 2Wiki, MuSiQue, COVID-QA and PubMedQA, and both models closed book.",
    ),
    _suite(public.languages, views.LANGUAGES, "XQuAD: the same questions in twelve languages."),
    _suite(public.conflicts, views.ASKED, "RGB: documents that contradict the truth."),
    _suite(
        ablation, views.ABLATION,
        "Conventional RAG, then one discipline after the other, on the same questions.",
    ),
    _suite(
        headline.headline, views.HEADLINE,
        "Conventional RAG, the product, and the product with one model for all roles.",
    ),
    _suite(
        ladders, views.LADDERS,
        "Model size, quantisation, phrasing, noise and position of the evidence, rung by rung.",
    ),
    _suite(
        wordings, views.WORDINGS,
        "Look-ups of the calibration set, as questions and as keywords for a search box.",
    ),
    _suite(
        conversations, views.CONVERSATIONS,
        "Follow-ups of conversations over the sample, beside the same questions written out.",
    ),
    _suite(
        injection, views.INJECTION,
        "Instructions planted in documents, put to the product and to plain concatenation.",
    ),
])  # fmt: skip
PARTS: Mapping[str, Sequence[str]] = {  # what ``--slice dataset=NAME`` can pick
    "retrieval": public.RETRIEVAL,
    "answers": public.ANSWERS,
    "languages": ["xquad"],
    "conflicts": ["rgb"],
    "ablation": ["golden", mixed.NAME],
    "headline": ["golden", mixed.NAME],
    "ladders": list(LADDERS),
    "wordings": ["calibration"],
    "conversations": ["sample"],
    "injection": ["prompt-injection"],
}
WITHOUT_PUBLIC_DATA = frozenset(
    {"ablation", "wordings", "conversations"}
)  # have questions without it
FIRST_LOOK = ("retrieval", "answers", "languages", "conflicts")  # if none is named
