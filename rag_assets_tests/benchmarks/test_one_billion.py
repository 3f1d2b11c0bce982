import pytest

from rag_assets.orchestration.partitions import PARTITIONS_PER_RUN
from rag_assets_tests.benchmarks import one_billion


def test_the_document_shows_what_is_computed() -> None:
    text = one_billion.DOCUMENT.read_text("utf-8")
    assert one_billion.written(text) == text


def test_a_document_costs_the_same_in_any_number() -> None:
    def hours(n_documents: int) -> list[float]:
        lines = one_billion.stages_table(n_documents).splitlines()[2:]
        cells = [line.split("|")[4].strip() for line in lines]
        return [float(cell.replace(",", "")) for cell in cells if cell not in "?-"]

    for once, tenfold in zip(hours(10**9), hours(10**10), strict=True):
        assert tenfold == pytest.approx(10 * once, rel=0.05)


def test_partitions_stay_within_dagsters_limit() -> None:
    sizes = {10**n: one_billion.n_partitions(10**n) for n in range(3, 13)}
    assert sizes[1000] == 1
    assert max(sizes.values()) == 65_536 <= one_billion.MAX_PARTITIONS
    assert all(n & (n - 1) == 0 for n in sizes.values())  # a source's buckets are a power of two


def test_a_run_takes_as_many_partitions_as_the_code_gives_it() -> None:
    assert one_billion.PARTITIONS_A_RUN == PARTITIONS_PER_RUN


def test_by_hand() -> None:
    """HTML: 10**9 documents at 24.5 a second and core are 11,338 hours."""
    (line,) = (x for x in one_billion.stages_table(10**9).splitlines() if "| documents |" in x)
    assert line.split("|")[4].strip() == f"{10**9 / (49 / 2) / 3600:,.0f}" == "11,338"
