"""Which type a document is of: the nearest label, and what the small model says of close ones.

A label has one sentence or more that describe such a document. Of a document its place (folder and
file name), title, headings and beginning are compared with all of them: by the embedder, and by
words that they share. Where the two nearest labels are close, the small model says which of the two
it is, once in either order, as it leans towards what it reads first.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rag_assets.markup import without_control_tokens
from rag_assets.models.protocols import ChatModel, Completion, Embedder

Types = Mapping[str, Sequence[str]]  # label -> sentences, each describes such a document

EXCERPT_CHARS: Final = 1000  # of a document, for the words that it shares with a label
READ_CHARS: Final = 400  # of those, for the models: with more they see its subject, not its type
PART_CHARS: Final = 200  # of these at most for the title, and as many for the headings
WORDS_WEIGHT: Final = 0.2  # of shared words beside a similarity of vectors
NAME_WEIGHT: Final = 0.6  # of those in title and place: they name the type more often than a text
MARGIN: Final = 0.025  # two labels are close that are less than this apart
SHARPNESS: Final = 15.0  # of scores as chances: with it certainty is as high as types are right
N_PARALLEL: Final = 8  # requests in flight: batching triples a small model's tokens per second
MAX_ANSWER_TOKENS: Final = 24
SYSTEM: Final = "You say of what type a document is."
QUESTION: Final = "Which type is it?"
SETTINGS: Final = (
    EXCERPT_CHARS, READ_CHARS, PART_CHARS, WORDS_WEIGHT, NAME_WEIGHT, MARGIN, SYSTEM, QUESTION,
)  # fmt: skip

EMBEDDER, SLM = "embedder", "slm"
_WORD = re.compile(r"[^\W\d_]{2,}|\?")  # a question mark tells much
_PLACE_WORD = re.compile(r"[^\W\d_]+|\d+")


@dataclass(frozen=True, slots=True)
class DocumentType:
    """What a document is.

    Attributes:
        document_type: one of the labels.
        certainty: chance that the type is right, by whoever decided.
        decided_by: ``embedder``, or ``slm`` where two labels were close.
        outcome: ``ok``, or why the small model did not decide what it was asked.
    """

    document_type: str
    certainty: float
    decided_by: str
    outcome: str = "ok"


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What is read of a document.

    Attributes:
        place: words of its folder and of its file's name.
        title: at most ``PART_CHARS`` characters of it.
        text: title, headings and beginning, at most ``EXCERPT_CHARS`` characters.
    """

    place: str
    title: str
    text: str


def excerpt_of(uri: str, title: str, headings: Sequence[str], text: str) -> Excerpt:
    """The excerpt of the document at ``uri``."""
    title = title[:PART_CHARS]
    outline = "; ".join(one for one in dict.fromkeys(headings) if one != title)
    front = [part for part in (title, outline[:PART_CHARS]) if part]
    return Excerpt(_place_of(uri), title, "\n".join([*front, text])[:EXCERPT_CHARS])


def _place_of(uri: str) -> str:
    path = PurePosixPath(uri.replace(":", "/"))
    return " ".join(_PLACE_WORD.findall(f"{path.parent.name} {path.stem}"))[:PART_CHARS]


@dataclass(frozen=True)
class Classifier:
    """Types of documents by two models and a set of labels."""

    types: Types
    embedder: Embedder
    slm: ChatModel

    def classify(self, excerpts: Sequence[Excerpt]) -> list[DocumentType]:
        """The type of each excerpt, in order.

        Raises:
            EngineUnavailableError: a model that is needed does not answer.
        """
        if not excerpts:
            return []
        with ThreadPoolExecutor(N_PARALLEL) as pool:
            return list(pool.map(self._decide, excerpts, self.scores(excerpts)))

    def scores(self, excerpts: Sequence[Excerpt]) -> NDArray[np.float32]:
        """How near each excerpt is to each label, (n excerpts, n labels)."""
        near_texts = self._nearest([one.text[:READ_CHARS] for one in excerpts])
        near_places = self._nearest([one.place or one.text[:READ_CHARS] for one in excerpts])
        said = self._shared([f"{one.place}\n{one.text}" for one in excerpts])
        named = self._shared([f"{one.place}\n{one.title}" for one in excerpts])
        near = (near_texts + near_places) / 2 + WORDS_WEIGHT * said + NAME_WEIGHT * named
        # Rounded: what a vector's last digits are, which hang on its batch, must decide nothing.
        found: NDArray[np.float32] = np.round(near, decimals=4)
        return found

    def _nearest(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """By vectors, how near each text is to the nearest sentence of each label."""
        sentences = self._sentences
        vectors = self.embedder.embed([self._fitting(text) for text in texts])
        # A sentence that is near to all other sentences is near to every document, too.
        near = vectors @ sentences.T - (sentences @ sentences.T).mean(axis=0)
        ends = np.cumsum([len(sentences) for sentences in self.types.values()])[:-1]
        return np.stack([part.max(axis=1) for part in np.split(near, ends, axis=1)], axis=1)

    def _shared(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The words that each text shares with each label, each by how few labels have it."""
        owed = [math.sqrt(sum(self._rarity[word] for word in words) or 1) for words in self._words]
        return np.array(
            [
                [
                    sum(self._rarity[word] for word in words & said) / all_of
                    for words, all_of in zip(self._words, owed, strict=True)
                ]
                for said in map(_words, texts)
            ],
            dtype=np.float32,
        )

    @cached_property
    def _words(self) -> list[frozenset[str]]:
        return [_words(" ".join([label, *sentences])) for label, sentences in self.types.items()]

    @cached_property
    def _rarity(self) -> dict[str, float]:
        counts = Counter(word for words in self._words for word in words)
        return {word: 1 / count for word, count in counts.items()}

    @cached_property
    def _sentences(self) -> NDArray[np.float32]:
        return self.embedder.embed(
            [self._fitting(one) for sentences in self.types.values() for one in sentences]
        )

    def _fitting(self, text: str) -> str:
        """As much of a text's beginning as the embedder takes."""
        while (n_tokens := self.embedder.count(text)) > self.embedder.max_tokens:
            text = text[: max(len(text) * self.embedder.max_tokens // n_tokens - 1, 1)]
        return text

    def _decide(self, excerpt: Excerpt, near: NDArray[np.float32]) -> DocumentType:
        labels = list(self.types)
        first, second = (int(at) for at in np.argsort(-near, kind="stable")[:2])
        chances = np.exp(SHARPNESS * (near - near[first]))
        by_embedder = DocumentType(labels[first], _certain(1 / chances.sum()), EMBEDDER)
        if near[first] - near[second] >= MARGIN:
            return by_embedder
        return self._ask(excerpt.text, labels[first], labels[second], by_embedder)

    def _ask(self, excerpt: str, one: str, other: str, otherwise: DocumentType) -> DocumentType:
        """The small model's choice of two, over both orders in which they can be named."""
        chances = []
        for pair in ((one, other), (other, one)):
            reply = self.slm.complete(
                self._messages(excerpt, pair),
                max_tokens=MAX_ANSWER_TOKENS,
                json_schema={"type": "string", "enum": list(pair)},
            )
            try:
                chances.append(_chance_of(one, pair, reply))
            except ValueError as error:
                return DocumentType(
                    otherwise.document_type, otherwise.certainty, EMBEDDER,
                    f"the small model's reply is no label ({reply.finish_reason}): {error}"[:300],
                )  # fmt: skip
        mean = sum(chances) / len(chances)
        chosen, certainty = (one, mean) if mean >= 0.5 else (other, 1 - mean)
        return DocumentType(chosen, _certain(certainty), SLM)

    def _messages(self, excerpt: str, labels: Sequence[str]) -> list[dict[str, str]]:
        offered = "\n".join(f"{label}: {self.types[label][0]}" for label in labels)
        # A document must not be able to write the line that ends it, or a turn of the chat.
        read = without_control_tokens(excerpt[:READ_CHARS]).replace("---", "- - -")
        asked = f"{read}\n\n---\n{QUESTION}\n{offered}"
        return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": asked}]


def _chance_of(label: str, pair: Sequence[str], reply: Completion) -> float:
    """The chance that a reply gives ``label``, one of a pair.

    Raises:
        ValueError: the reply is neither.
    """
    said = json.loads(reply.text)
    if said not in pair:
        raise ValueError(f"expected one of {', '.join(pair)}, got {said!r}"[:200])
    chance = math.exp((reply.mean_logprob or 0.0) * reply.completion_tokens)
    return chance if said == label else 1 - chance


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))


def _certain(chance: float) -> float:
    return round(min(max(float(chance), 0.0), 1.0), 4)
