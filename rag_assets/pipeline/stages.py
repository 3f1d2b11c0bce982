"""The partitioned stages as a plan sees them: tables, fingerprints, and what those are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag_assets.chunks import stage as cut
from rag_assets.documents import signatures
from rag_assets.documents import stage as normalise
from rag_assets.documents.readers import ocr
from rag_assets.embeddings import stage as embed
from rag_assets.enrichments import stage as enrich
from rag_assets.enrichments.classification import SCHEMA, SYSTEM
from rag_assets.lake.delta import StageTable
from rag_assets.lake.identity import value_hash
from rag_assets.models.clients.window import embedder_window
from rag_assets.models.profiles import Profile
from rag_assets.sections import stage as structure
from rag_assets.sources import stage as ingest

CODE, CONFIGURATION, MODEL = "code version", "configuration", "model"


@dataclass(frozen=True, slots=True)
class Models:
    """What a plan must know of the models; no engine is needed for it.

    Attributes:
        tokenizer_id: of the embedder, as ``chunks`` are told.
        max_tokens: of a chunk.
        embedder: model id and revision.
        dimension: floats in a vector.
        slm: model id and revision.
        identities: of all roles, as a generation's manifest names them.
    """

    tokenizer_id: str
    max_tokens: int
    embedder: tuple[str, str]
    dimension: int
    slm: tuple[str, str]
    identities: Mapping[str, Mapping[str, str]]


def models_of(profile: Profile, cache: Path) -> Models:
    """The models of a profile.

    Raises:
        NotPulledError: the embedder's tokenizer is not in the cache.
    """
    window = embedder_window(profile, cache)
    embedder, slm = profile.spec("embedder"), profile.spec("slm")
    return Models(
        tokenizer_id=window.identity,
        max_tokens=window.max_tokens,
        embedder=(embedder.model_id, embedder.revision),
        dimension=embedder.dimension or 0,
        slm=(slm.model_id, slm.revision),
        identities=profile.identities(),
    )


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage.

    Attributes:
        name: of its main table.
        tables: those that its inputs' rows are in, the main one last.
        fingerprint: as it is now.
        parts: what the fingerprint is made of; when one differs, the whole stage is recomputed.
        upstream: stage whose rows are its inputs; None: the source's files are.
        one_row_an_input: whether an input always gives one row, under the input's own id.
    """

    name: str
    tables: Sequence[StageTable]
    fingerprint: str
    parts: Mapping[str, str]
    upstream: str | None
    one_row_an_input: bool = False

    @property
    def main(self) -> StageTable:
        """The table that the next stage reads."""
        return self.tables[-1]


def stages(models: Models) -> list[Stage]:
    """All partitioned stages, in the order in which data flows."""
    embedder, slm = " at ".join(models.embedder), " at ".join(models.slm)
    return [
        Stage(
            "source_files",
            [ingest.TABLE],
            ingest.fingerprint(),
            {CODE: ingest.CODE_VERSION},
            None,
            one_row_an_input=True,
        ),
        Stage(
            "documents",
            [normalise.REJECTED, normalise.TABLE],
            normalise.fingerprint(),
            {
                CODE: f"{normalise.CODE_VERSION}/{signatures.VERSION}",
                CONFIGURATION: "ocr" if ocr.is_available() else "no ocr",
            },
            "source_files",
        ),
        Stage(
            "sections",
            [structure.TABLE],
            structure.fingerprint(),
            {CODE: structure.CODE_VERSION},
            "documents",
        ),
        Stage(
            "chunks",
            [cut.TABLE],
            cut.fingerprint(models.tokenizer_id, models.max_tokens),
            {
                CODE: cut.CODE_VERSION,
                CONFIGURATION: f"{models.max_tokens} tokens",
                MODEL: models.tokenizer_id,
            },
            "sections",
        ),
        Stage(
            "embeddings",
            [embed.table(models.dimension)],
            embed.fingerprint(*models.embedder),
            {CODE: embed.CODE_VERSION, MODEL: embedder},
            "chunks",
            one_row_an_input=True,
        ),
        Stage(
            "enrichments",
            [enrich.TABLE],
            enrich.fingerprint(*models.slm),
            {
                CODE: enrich.CODE_VERSION,
                CONFIGURATION: value_hash([SYSTEM, SCHEMA]),
                MODEL: slm,
            },
            "documents",
            one_row_an_input=True,
        ),
    ]
