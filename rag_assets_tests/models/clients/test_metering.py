from rag_assets.models.clients.metering import MeteredChat, MeteredEmbedder
from rag_assets_tests.fakes import FakeChat, FakeEmbedder


def test_a_chat_model_counts_what_it_read_and_wrote() -> None:
    chat = MeteredChat(FakeChat(["one two"]))
    messages = [{"role": "user", "content": "a b c"}]
    for _ in range(2):
        assert chat.complete(messages, max_tokens=5).text == "one two"
    assert (chat.n_calls, chat.completion_tokens) == (2, 4)
    assert chat.prompt_tokens == 2 * chat.count_chat(messages)
    assert (chat.name, chat.model_id, chat.revision, chat.max_model_len) == (
        "slm", "fake/chat", "0" * 40, 4096
    )  # fmt: skip


def test_an_embedder_counts_its_texts() -> None:
    embedder = MeteredEmbedder(FakeEmbedder())
    assert embedder.embed(["a", "b"]).shape == (2, embedder.dimension)
    assert embedder.embed([]).shape == (0, 384)
    assert embedder.n_texts == 2
    assert embedder.count("a b") == 4
    assert (embedder.model_id, embedder.revision, embedder.max_tokens) == (
        "fake/embedder", "1" * 40, 256
    )  # fmt: skip
