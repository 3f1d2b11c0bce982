from dataclasses import dataclass

import pytest

from rag_assets.models.clients.prefixed import PrefixedEmbedder, with_prefix
from rag_assets.models.clients.roles import Models
from rag_assets.models.profile_files import load_profile
from rag_assets.pipeline.run import ModelFacts
from rag_assets.pipeline.stages import STAGES
from rag_assets_tests.fakes import FakeChat
from rag_assets_tests.world import CountingEmbedder

EMBEDDINGS = next(stage for stage in STAGES if stage.name == "embeddings")


@dataclass
class Trained(CountingEmbedder):
    """An embedder of one's own that tells questions from documents."""

    query_prefix: str = "query: "
    document_prefix: str = "passage: "


def facts_of(embedder: CountingEmbedder) -> ModelFacts:
    return ModelFacts(Models(embedder=embedder, slm=FakeChat(), llm=FakeChat(name="llm")))


def test_a_prefix_is_part_of_each_text_and_of_its_count() -> None:
    model = CountingEmbedder()
    prefixed = PrefixedEmbedder(model, "query: ")
    assert (prefixed.embed(["a pier"]) == model.embed(["query: a pier"])).all()
    assert prefixed.count("a pier") == model.count("query: a pier") > model.count("a pier")
    assert (prefixed.dimension, prefixed.max_tokens) == (model.dimension, model.max_tokens)
    with pytest.raises(ValueError, match="256"):
        prefixed.embed(["word " * 253])  # which alone would fit
    assert with_prefix(model, "") is model


def test_questions_and_documents_have_prefixes_of_their_own() -> None:
    model = Trained()
    models = Models(embedder=model)
    models.embedder.embed(["a pier"])
    models.question_embedder.embed(["which pier"])
    models.embedder_for({}).embed(["whose pier"])
    assert model.asked == ["passage: a pier", "query: which pier", "query: whose pier"]
    assert models.window.max_tokens == model.max_tokens - model.count("passage: ")


def test_prefixes_are_named_by_a_generation_and_tell_vectors_apart() -> None:
    plain, trained = facts_of(CountingEmbedder()), facts_of(Trained())
    other = facts_of(Trained(query_prefix="Q: "))
    assert plain.embedder == ("fake/embedder", "1")
    assert plain.identities["embedder"] == {"model_id": "fake/embedder", "revision": "1"}
    named = {"query_prefix": "query: ", "document_prefix": "passage: "}
    assert trained.identities["embedder"] == plain.identities["embedder"] | named
    assert EMBEDDINGS.fingerprint(plain) != EMBEDDINGS.fingerprint(trained)
    # another question's prefix is another generation, and embeds no document again
    assert other.identities != trained.identities
    assert EMBEDDINGS.fingerprint(other) == EMBEDDINGS.fingerprint(trained)


def test_the_default_has_no_prefixes_and_the_multilingual_one_its_own() -> None:
    assert [load_profile("cpu").spec("embedder").query_prefix] == [""]
    spec = load_profile("cpu-multilingual").spec("embedder")
    assert (spec.query_prefix, spec.document_prefix) == ("query: ", "passage: ")
