"""The arithmetic of a billion documents, from unit costs that were measured.

``bench one-billion [DOCUMENTS]`` prints the tables; those for a billion stand in
``docs/operating/one_billion.md``, with what would break first. Change a unit cost here, run it with
``--write``, and every figure follows.

Unit costs are of machines of two cores without a GPU (``docs/figures.md``); that of embedding
depends most on which: both are shown.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BILLION = 1_000_000_000
DOCUMENT = Path(__file__).parents[2] / "docs" / "operating" / "one_billion.md"
MARKS = ("<!-- tables: begin -->", "<!-- tables: end -->")

CHUNKS_A_DOCUMENT = 7.8  # 1,169 HTML pages, 256-token chunks: 9,100; the sample corpus has 7.3
SECTIONS_A_DOCUMENT = 6.8  # the sample corpus
MAX_PARTITIONS = 100_000  # of one asset, Dagster's own advice
STAGES_A_RUN = 6
EVENTS_A_STEP = 12  # estimate: start, log lines, check, materialisation, success
RUN_START_S = 10.0  # estimate, of a Ray job that imports Dagster and Lance
PARTITIONS_A_RUN = 64  # at most; ``orchestration.partitions.PARTITIONS_PER_RUN``

DIMENSION = 384
PQ_BYTES = DIMENSION // 16 * 4  # 96 sub-vectors of 4 numbers, one byte each
ROW_ID_BYTES = 8
GROUP_ROWS = 8192  # LanceDB's, of the vector index
CORE_FLOPS = 50e9  # estimate, of comparing vectors in float32
TEXT_INDEX_CORE_S = 8 / 40_000  # a chunk, whenever any row has changed
SERVER_BYTES = 512 * 2**30 * 0.75  # of a 512 GB server, what an index may take
GROUPING_BYTES = 1300  # a document in memory, at the peak of ``duplicates``

EMBED_CHUNKS_A_S = 136 / 2  # a core of two that give 136: bfloat16, a Xeon with AMX
EMBED_FLOAT32_CORE_S = 876.3 / 6777  # a chunk, on an EPYC without AVX-512: ``bench refresh``
LABEL_CORE_S = 0.106 * 2  # a document: 5.7 s for the sample's 54, on both cores of a Xeon with AMX
SLM_PROMPT_TOKENS, SLM_ANSWER_TOKENS = 67, 1.7  # a sixth are close calls: two prompts of 200 tokens


# ``bench scale``, 100,000 documents: processor seconds for one of 4.9 sections and 11.3 chunks.
SOURCE_FILES_S, SECTIONS_S, CHUNKS_S, INDEX_S = 0.00101, 0.00235, 0.00507, 0.00254
OF_ITS_SECTIONS, OF_ITS_CHUNKS = SECTIONS_A_DOCUMENT / 4.87, CHUNKS_A_DOCUMENT / 11.3


@dataclass(frozen=True, slots=True)
class Stage:
    """What a stage costs; bytes are Arrow's in memory, before Lance's encoding.

    Attributes:
        name: of the stage.
        rows: a document.
        row_bytes: mean of the sample corpus.
        core_s: a document.
        inputs_a_commit: the stage's ``batch_inputs``, counted in ``rows`` of the stage before.
        inputs: a document, of that stage before.
    """

    name: str
    rows: float
    row_bytes: float
    core_s: float
    inputs_a_commit: int
    inputs: float = 1.0


STAGES = (
    Stage("source_files", 1, 341, SOURCE_FILES_S, 64),
    Stage("documents", 1, 3443, 2 / 49, 64),  # 49 HTML pages/s in two processes
    Stage("sections", SECTIONS_A_DOCUMENT, 770, SECTIONS_S * OF_ITS_SECTIONS, 256),
    Stage("chunks", CHUNKS_A_DOCUMENT, 779, CHUNKS_S * OF_ITS_CHUNKS, 512, SECTIONS_A_DOCUMENT),
    Stage(
        "embeddings", CHUNKS_A_DOCUMENT, 1910, CHUNKS_A_DOCUMENT / EMBED_CHUNKS_A_S, 512,
        CHUNKS_A_DOCUMENT,
    ),
    Stage("enrichments", 1, 600, LABEL_CORE_S, 64),  # bytes by its schema, not measured
    # From here on one process over all partitions.
    Stage("duplicates", 0.08, 188, 92 / 1_000_000, 1_000_000),  # a million made-up signatures
    Stage("chunk_index", CHUNKS_A_DOCUMENT, 1910 + 779, INDEX_S * OF_ITS_CHUNKS, 100_000),
)  # fmt: skip

RAW_BYTES = 4134  # a source file of the sample corpus; web pages with scripts are far larger


def n_partitions(n_documents: int) -> int:
    """Buckets of one source: the largest power of two within Dagster's limit, 1,000 a bucket."""
    wanted = max(n_documents // 1000, 1)
    return int(2 ** math.floor(math.log2(min(wanted, MAX_PARTITIONS))))


def stages_table(n_documents: int) -> str:
    """Rows, bytes, core-hours and commits of a first build, a line a stage."""
    lines = []
    for stage in STAGES:
        commits = math.ceil(n_documents * stage.inputs / stage.inputs_a_commit)
        lines.append((
            stage.name,
            _count(n_documents * stage.rows),
            _size(n_documents * stage.rows * stage.row_bytes),
            f"{n_documents * stage.core_s / 3600:,.0f}",
            _count(commits),
        ))  # fmt: skip
    lines.append(("raw bytes", _count(n_documents), _size(n_documents * RAW_BYTES), "-", "-"))
    return _markdown(("stage", "rows", "bytes", "core-hours", "commits"), lines)


def dagster_table(n_documents: int) -> str:
    """What Dagster and the lake's bookkeeping carry for one refresh of everything."""
    partitions = n_partitions(n_documents)
    runs = math.ceil(partitions / PARTITIONS_A_RUN)
    events = partitions * STAGES_A_RUN * EVENTS_A_STEP
    per_partition = sum(stage.inputs / stage.inputs_a_commit for stage in STAGES[:STAGES_A_RUN]) * (
        n_documents / partitions
    )
    return _markdown(
        ("what", "how many"),
        [
            ("partitions", f"{partitions:,} (advice: at most {MAX_PARTITIONS:,})"),
            ("documents a partition", f"{n_documents / partitions:,.0f}"),
            ("commits a partition, six tables", f"{per_partition:,.0f}"),
            (f"runs of at most {PARTITIONS_A_RUN} partitions", f"{runs:,}"),
            ("runs' start, core-hours", f"{runs * RUN_START_S / 3600:,.1f}"),
            ("rows in Dagster's event log", _count(events)),
            ("files of raw bytes", _count(n_documents)),
        ],
    )


def index_table(n_documents: int) -> str:
    """Bytes of the vector index in each form, and the servers whose memory holds it."""
    vectors = n_documents * CHUNKS_A_DOCUMENT
    forms = (
        ("float32, as stored", DIMENSION * 4),
        ("IVF_SQ, a byte a number, as made", DIMENSION + ROW_ID_BYTES),
        ("IVF_PQ, 4 numbers a byte", PQ_BYTES + ROW_ID_BYTES),
    )
    return _markdown(
        ("form", "bytes a vector", "bytes", "servers of 512 GB"),
        [
            (name, str(size), _size(vectors * size), str(math.ceil(vectors * size / SERVER_BYTES)))
            for name, size in forms
        ],
    )


def whole_table(n_documents: int) -> str:
    """What models, duplicates and the index ask for, whatever the partitions."""
    chunks = n_documents * CHUNKS_A_DOCUMENT
    return _markdown(
        ("what", "how much"),
        [
            ("chunks to embed", _count(chunks)),
            (
                "embedding on CPU with AMX, core-hours",
                f"{chunks / EMBED_CHUNKS_A_S / 3600:,.0f}",
            ),
            (
                "embedding on CPU without AVX-512, core-hours",
                f"{chunks * EMBED_FLOAT32_CORE_S / 3600:,.0f}",
            ),
            ("embedding, GPU-hours for each 1,000 chunks/s", f"{chunks / 1000 / 3600:,.0f}"),
            ("small model, prompt tokens", _count(n_documents * SLM_PROMPT_TOKENS)),
            ("small model, answer tokens", _count(n_documents * SLM_ANSWER_TOKENS)),
            ("labels on CPU, core-hours", f"{n_documents * LABEL_CORE_S / 3600:,.0f}"),
            ("duplicates, in one memory", _size(n_documents * GROUPING_BYTES)),
            ("text index written anew, core-hours", f"{chunks * TEXT_INDEX_CORE_S / 3600:,.0f}"),
            (
                f"vectors compared with the centres of groups of {GROUP_ROWS:,}, core-hours",
                f"{chunks**2 / GROUP_ROWS * 2 * DIMENSION / CORE_FLOPS / 3600:,.0f}",
            ),
        ],
    )


def tables(n_documents: int) -> str:
    """All tables as Markdown."""
    parts = (
        ("First build, by stage", stages_table),
        ("Bookkeeping of a refresh of everything", dagster_table),
        ("Vector index", index_table),
        ("Models, duplicates, indexes", whole_table),
    )
    return "\n\n".join(f"### {title}\n\n{table(n_documents)}" for title, table in parts)


def written(text: str) -> str:
    """The document's text with its tables made anew."""
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    return f"{before}{MARKS[0]}\n{tables(BILLION)}\n{MARKS[1]}{after}"


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _scaled(value: float, units: Sequence[str]) -> str:
    step = 0
    while value >= 1000 and step < len(units) - 1:
        value, step = value / 1000, step + 1
    shown = f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"
    return f"{shown} {units[step]}".strip()


def _count(value: float) -> str:
    return _scaled(value, ("", "thousand", "M", "B", "T"))


def _size(value: float) -> str:
    return _scaled(value, ("bytes", "kB", "MB", "GB", "TB", "PB"))
