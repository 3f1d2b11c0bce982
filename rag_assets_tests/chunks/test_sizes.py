import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.chunks import sizes
from rag_assets.chunks.sizes import WHITE_SPACE, measure, segments
from rag_assets_tests.world import WordCounter

texts = st.text("ab.\u6f22 \n\t\u00a0", max_size=80)


@given(texts, st.integers(1, 20))
def test_segments_part_a_text_at_white_space(text: str, n_chars: int) -> None:
    found = list(segments(text, n_chars))
    assert "".join(text[start:end] for start, end in found) == text
    for start, end in found[:-1]:
        assert end - start >= n_chars
        assert text[end] in WHITE_SPACE


@given(st.lists(texts, max_size=5), st.integers(0, 80), st.integers(0, 80))
def test_sizes_of_slices_are_those_of_the_whole(given_texts: list[str], a: int, b: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sizes, "CALL_CHARS", 30)
        patch.setattr(sizes, "SEGMENT_CHARS", 7)
        found = measure(given_texts, WordCounter())
    for text, of in zip(given_texts, found, strict=True):
        assert of.n_tokens == WordCounter().count(text)
        starts = [start for start, _ in WordCounter().encode([text])[0]]
        assert [of.start_of(n) for n in range(of.n_tokens)] == starts
        assert of.between(min(a, b), max(a, b)) == sum(
            min(a, b) <= start < max(a, b) for start in starts
        )
