"""The measuring set of the check: sentences over evidence, half right, half wrong in one fact.

``triples.txt`` holds it. "===" begins a piece of evidence, "---" a document of it (title, after a
bar its language), "?" a question, "+" a right sentence and "-" its wrong twin with the kind of its
fault. ``python -m rag_assets_tests.answers.triples`` prints how many of each kind the check gets
wrong.
"""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag_assets.answers.citations import ground
from rag_assets.lake.identity import text_hash
from rag_assets.retrieval.passages import Passage, pieces_of
from rag_assets_tests.answers.world import Doc, chunks_of

FILE = Path(__file__).with_name("triples.txt")
MAX_WORDS = 1000  # of a passage: each document is one


@dataclass(frozen=True, slots=True)
class Triple:
    """A sentence said to a question over passages.

    Attributes:
        kind: the fact in which the sentence, or its wrong twin, goes wrong.
        is_right: whether the passages hold it.
        half: "a", which was looked at when the check was written, or "b".
    """

    question: str
    passages: tuple[Passage, ...]
    sentence: str
    kind: str
    is_right: bool
    half: str


def passage_of(title: str, text: str, language: str = "en", uri: str = "") -> Passage:
    """A document as one passage; its title may have headings behind ">"."""
    name, *headings = title.split(" > ")
    doc = Doc(uri or f"s:{name}", name, ((" > ".join(headings), text),), language)
    return Passage(pieces_of(chunks_of(doc, MAX_WORDS)), frozenset(), 1.0, 0.5, whole=True)


def triples(file: Path = FILE) -> list[Triple]:
    """All triples of a file."""
    return [
        triple
        for block in file.read_text(encoding="utf-8").split("\n=== ")
        for triple in _of_block(block)
    ]


def _of_block(block: str) -> list[Triple]:
    evidence, *cases = block.split("\n? ")
    passages = []
    for document in evidence.split("\n--- ")[1:]:
        head, _, text = document.partition("\n")
        title, _, language = head.partition(" | ")
        passages.append(passage_of(title, text, language or "en"))
    found = []
    for case in cases:
        question, right, wrong = case.strip().split("\n")
        kind, _, false = wrong.removeprefix("- ").partition(": ")
        half = "ab"[int(text_hash(question + right)[-1], 16) % 2]
        for sentence, is_right in ((right.removeprefix("+ "), True), (false, False)):
            found.append(Triple(question, tuple(passages), sentence, kind, is_right, half))
    return found


def mistakes(of: Sequence[Triple], is_kept: Callable[[Triple], bool]) -> list[Triple]:
    """Right ones that the check drops and wrong ones that it keeps."""
    return [triple for triple in of if is_kept(triple) is not triple.is_right]


def kept(triple: Triple) -> bool:
    """Whether the check keeps the sentence."""
    return bool(ground(triple.sentence, triple.passages, triple.question).text)


def table(of: Sequence[Triple], wrong: Sequence[Triple]) -> str:
    """Mistakes and triples by kind, as lines of a Markdown table."""
    total = Counter((t.kind, t.is_right) for t in of) + Counter(("all", t.is_right) for t in of)
    bad = Counter((t.kind, t.is_right) for t in wrong)
    bad += Counter(("all", t.is_right) for t in wrong)
    kinds = [*sorted({t.kind for t in of}), "all"]
    lines = ["| kind | right ones dropped | wrong ones kept |", "|---|---|---|"]
    for kind in kinds:
        cells = (f"{bad[kind, is_right]} of {total[kind, is_right]}" for is_right in (True, False))
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Print the mistakes by kind for both halves, and those of the half that is looked at."""
    for file in [Path(name) for name in sys.argv[1:]] or [FILE]:
        read = triples(file)
        for half in ("a", "b"):
            of = [triple for triple in read if triple.half == half]
            wrong = mistakes(of, kept)
            sys.stdout.write(f"{file.name}, half {half}\n\n{table(of, wrong)}\n\n")
            for triple in wrong if half == "a" else ():
                verb = "dropped" if triple.is_right else "kept"
                sys.stdout.write(f"{verb} ({triple.kind}): {triple.question} {triple.sentence}\n")


if __name__ == "__main__":
    main()
