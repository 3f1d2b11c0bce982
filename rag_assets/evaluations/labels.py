"""Is a document of the type that enrichment gave it? Held against types given by hand.

A JSON Lines file, named by the source's ``labels`` entry; one object a line, every type that a
person would accept::

    {"document": "vessels/alder.html", "types": ["specification", "reference"]}
"""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from rag_assets.documents import stage as normalise
from rag_assets.enrichments import stage as enrich
from rag_assets.enrichments.document_types import DOCUMENT_TYPES
from rag_assets.evaluations.lab import Lab
from rag_assets.evaluations.results import CaseResult
from rag_assets.sources.catalog import Source, catalog
from rag_assets.sources.golden import CaseError, lines_of

DATASET = "document types"
MAJORITY = "one label for all"
ENRICHED = "labels by enrichment"


def load_labels(source: Source) -> dict[str, tuple[str, ...]]:
    """Uri -> accepted types; none if the source declares none.

    Raises:
        CaseError: the file is missing, or a line of it is not of the form in the module's text, or
            names a type that is none of the source's.
    """
    if source.labels is None:
        return {}
    path = Path(source.labels)
    found: dict[str, tuple[str, ...]] = {}
    known = source.document_types or DOCUMENT_TYPES
    for number, line in lines_of(source, "labels", "labels"):
        try:
            entry = json.loads(line)
            types = tuple(entry["types"])
            if not types or not set(types) <= set(known):
                raise ValueError(f"types must be some of {', '.join(known)}, got {types}")
            found[f"{source.name}:{entry['document']}"] = types
        except (ValueError, KeyError, TypeError) as error:
            raise CaseError(
                f"{path.name}, line {number}: expected an object with document and types; got "
                f"{type(error).__name__}: {error}"
            ) from error
    return found


def classified(lab: Lab, suite: str) -> list[CaseResult]:
    """The types that enrichment gave, beside the best single label for all documents."""
    given = _given(lab)
    accepted = {
        uri: types
        for source in catalog(lab.settings.sources_file, lab.store).values()
        for uri, types in load_labels(source).items()
        if uri in given
    }
    counts = Counter(one for types in accepted.values() for one in types)
    if not counts:
        return []
    (commonest, _), *_ = counts.most_common(1)
    said: Mapping[str, Mapping[str, str]] = {
        MAJORITY: dict.fromkeys(accepted, commonest),
        ENRICHED: given,
    }
    return [
        CaseResult(
            suite,
            DATASET,
            variant,
            uri,
            question=uri,
            answer=answers[uri],
            expected=types,
            slices={},
            scores={"correct": float(answers[uri] in types)},
            model="slm" if variant == ENRICHED else "none",
        )
        for variant, answers in said.items()
        for uri, types in sorted(accepted.items())
    ]


def _given(lab: Lab) -> dict[str, str]:
    """Uri -> type, of all enriched documents."""
    found: dict[str, str] = {}
    for partition in lab.store.partitions(enrich.TABLE.name):
        rows = lab.store.rows(normalise.TABLE.name, partition, columns=["document_id", "uri"])
        uris = {row["document_id"]: row["uri"] for row in rows}
        columns = ["document_id", "document_type"]
        for row in lab.store.rows(enrich.TABLE.name, partition, columns=columns):
            if row["document_id"] in uris:
                found[uris[row["document_id"]]] = row["document_type"]
    return found
