from rag_assets.enrichments.classification import Classifier, Excerpt
from rag_assets.enrichments.document_types import DOCUMENT_TYPES
from rag_assets_tests.benchmarks.labels import DEBIAN, SAMPLE, Labelled, labelled, measure
from rag_assets_tests.fakes import FakeChat, FakeEmbedder


def test_labels_are_of_the_default_set_and_fall_into_two_halves() -> None:
    found = labelled(DEBIAN) + labelled(SAMPLE / "document_types.jsonl", "sample/")
    assert len({one.name for one in found}) == len(found) >= 200
    assert all(one.types and set(one.types) <= DOCUMENT_TYPES.keys() for one in found)
    assert sum(len(one.types) == 1 for one in found) > len(found) / 2
    n_figure = sum(one.half == "figure" for one in found)
    assert 0.4 < n_figure / len(found) < 0.6


def test_a_figure() -> None:
    types = {"log": ("engine oil changed",), "minutes": ("the board met and agreed",)}
    found = [
        Labelled("a", ("log",), Excerpt("", "", "engine oil was changed")),
        Labelled("b", ("log",), Excerpt("", "", "the board agreed")),
    ]
    chat = FakeChat([AssertionError("clear cases are not the small model's")])
    figure = measure(found, Classifier(types, FakeEmbedder(), chat))
    assert (figure.n, figure.accuracy, figure.by_embedder, figure.slm_share) == (2, 0.5, 0.5, 0.0)
    assert figure.low <= figure.accuracy <= figure.high
    assert figure.seconds > 0
