"""Ladders: one thing changes rung by rung, all else stands still.

================== =============================================================================
model-size         the same prompts to the SLM and to the LLM
routing            the product: all questions read as look-ups, on the way the router picks, written
quantisation       the same prompts in bf16, int8 and (with AVX-512) int4: quality and speed
phrasing           the same question in other words, by rule and by the small model
question-noise     typing errors in the question
corpus-noise       misread characters and copies in the documents, ingested as they are
evidence-position  the document that holds the answer first, in the middle, last in the prompt
batching           one question at a time against four at once: core seconds, time
================== =============================================================================

Languages and domains are slices of the suites ``languages`` and ``answers``. All questions are of
the mixed corpus (``mixed``), which the project was not tuned on.
"""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NoReturn

from rag_assets.answers.answerer import Answerer
from rag_assets.answers.budget import pack
from rag_assets.answers.policy import AnswerPolicy
from rag_assets.answers.prompts import Message, answer_messages
from rag_assets.evaluations.asking import Place, Said, ask, ask_model, result_of
from rag_assets.evaluations.lab import Lab
from rag_assets.evaluations.replay import Meter
from rag_assets.evaluations.results import CaseResult, ModelUse
from rag_assets.evaluations.tasks import Task
from rag_assets.index.search import IndexReader
from rag_assets.lake.identity import value_hash
from rag_assets.models.engines.state import read_states
from rag_assets.models.errors import EngineError, EngineUnavailableError, ModelRequestError
from rag_assets.models.profiles import Profile, in_format, servable
from rag_assets.models.protocols import ChatModel, ChatRole
from rag_assets.models.weights.pulling import pull
from rag_assets.retrieval.passages import Passage
from rag_assets_tests.suites import mixed
from rag_assets_tests.suites.baselines import all_to_llm
from rag_assets_tests.suites.corpora import ingested, live_reader
from rag_assets_tests.suites.dataset_tasks import document_uri
from rag_assets_tests.suites.datasets import Document
from rag_assets_tests.suites.engine_alone import serving
from rag_assets_tests.suites.perturbations import (
    acceptable,
    duplicated,
    ocr_noise,
    paraphrase_messages,
    reworded,
    typos,
)
from rag_assets_tests.suites.public import wanted

SUITE = "ladders"
ROLES: tuple[ChatRole, ...] = ("slm", "llm")
AT_ONCE = 4
ALONE = " alone"  # beside no other engine at work
POSITIONS = {"first": 0, "middle": 2, "last": 4}  # of five passages, in the prompt
TYPO_RATES = (0.2, 0.5)  # of the words that may slip
OCR_RATES = (0.01, 0.03)  # of the characters
COPIES = 0.3  # share of the documents


@dataclass(frozen=True, slots=True)
class Prompt:
    """A fixed prompt: what any model is to answer from."""

    task: Task
    messages: Sequence[Message]
    passages: Sequence[Passage]


def ladders(lab: Lab) -> list[CaseResult]:
    """All ladders, or the one that the slice ``dataset`` names."""
    names = wanted(lab, list(LADDERS))
    if not names:
        return []
    reader = live_reader(ingested(lab, mixed.NAME, mixed.documents(lab), enriched=True))
    found: list[CaseResult] = []
    for name in names:
        try:
            found += LADDERS[name](lab, reader)
        except EngineError as error:  # an engine of its own did not start: the others may climb on
            lab.tell(f"{name} given up: {error}")
    return found


def model_size(lab: Lab, reader: IndexReader) -> list[CaseResult]:
    """The two models that the profile serves, on the same prompts."""
    return [
        complete(lab, model, prompt, Place(SUITE, "model-size", model.name))
        for prompt in lab.each(prompts(lab, reader, mixed.tasks(lab, 5)), "model-size")
        for model in (lab.slm, lab.llm)
    ]


def routing(lab: Lab, reader: IndexReader) -> list[CaseResult]:
    """What the router buys and costs: the product as it is, and with one way for everything."""
    product = lab.answerer(reader)
    variants = {
        "all read": (product, "fact"),
        "router": (product, "auto"),
        "all written": (replace(product, route=all_to_llm), "auto"),
    }
    return [
        ask(answerer, task, Place(SUITE, "routing", name), lab.meter, mode=mode)
        for task in lab.each(mixed.tasks(lab, 5), "routing")
        for name, (answerer, mode) in variants.items()
    ]


def quantisation(lab: Lab, reader: IndexReader) -> list[CaseResult]:
    """Both models in each weight format that this processor can serve, one engine after another.

    The weights come as 4-bit GGUF: "bf16" is that, undone; nothing here has seen the original.
    """
    asked = prompts(lab, reader, mixed.tasks(lab, 3))
    found: list[CaseResult] = []
    for role in ROLES:
        for precision in servable():
            whole = in_format(lab.profile, precision)
            profile = replace(whole, roles={role: whole.spec(role)})
            place = Place(SUITE, "quantisation", f"{role} {precision}")
            kept = lab.metered(NotServed(lab.chat(role)), profile.spec(role), apart=ALONE)
            try:
                found += [timed(lab, kept, one, place) for one in asked]
            except EngineUnavailableError:
                found += _served(lab, profile, role, asked, place)
    return found


def _served(
    lab: Lab, profile: Profile, role: ChatRole, asked: Sequence[Prompt], place: Place
) -> list[CaseResult]:
    """One rung, by an engine started for it."""
    lab.tell(f"{place.variant}: weights and engine")
    cache, state = lab.settings.cache, lab.settings.evaluations / "engine"
    pull(profile, cache, progress=lambda _what, _share: None)
    with serving(profile, role, cache_dir=cache, state_dir=state) as client:
        pid = read_states(state)[role].process.pid
        model = lab.metered(client, profile.spec(role), pid, apart=ALONE)
        return [timed(lab, model, one, place) for one in lab.each(asked, place.variant)]


class NotServed:
    """A model that no engine serves yet: what is replayed needs none."""

    def __init__(self, like: ChatModel) -> None:
        self.name: ChatRole = like.name
        self.model_id = like.model_id
        self.revision = like.revision
        self.max_model_len = like.max_model_len
        self.count_chat = like.count_chat

    def complete(self, *_: Any, **__: Any) -> NoReturn:  # noqa: ANN401 - whatever a model takes
        """Raises EngineUnavailableError."""
        raise EngineUnavailableError(f"no engine serves {self.name} in this format yet")


def phrasing(lab: Lab, reader: IndexReader) -> list[CaseResult]:
    """The product asked in other words; "all" has the spread of correctness over the wordings.

    ``variance of correctness`` of a question is p (1 - p), with p the share of its wordings that
    are answered right: 0 if the wording does not matter, 0.25 at most. ``flips``: not all alike.
    """
    answerer = lab.answerer(reader)
    found: list[CaseResult] = []
    for task in lab.each(mixed.tasks(lab, 2), "phrasing"):
        wordings = {"original": task.question, **reworded(task.question)}
        said = _paraphrase(lab.slm, task.question)
        if acceptable(task.question, said):
            wordings["paraphrase by slm"] = said
        results = [
            ask(answerer, task, Place(SUITE, "phrasing", rule), lab.meter, question=wording)
            for rule, wording in wordings.items()
        ]
        share = sum(result.scores["correct"] for result in results) / len(results)
        spread = {
            "correct": share,
            "variance of correctness": share * (1 - share),
            "flips": float(0 < share < 1),
        }
        whole = replace(results[0], variant="all", scores=spread, use={}, seconds=0.0)
        found += [*results, replace(whole, answer="", abstained=False, confidence=None, error="")]
    return found


def _paraphrase(model: ChatModel, question: str) -> str:
    try:
        return model.complete(paraphrase_messages(question), max_tokens=64).text.strip()
    except ModelRequestError:
        return ""  # which is not acceptable: the question is asked in one wording less


def question_noise(lab: Lab, reader: IndexReader) -> list[CaseResult]:
    """Typing errors in the question; names may be hit, numbers are not."""
    answerer = lab.answerer(reader)
    found: list[CaseResult] = []
    for task in lab.each(mixed.tasks(lab, 4), "question-noise"):
        for rate in (0.0, *TYPO_RATES):
            place = Place(SUITE, "question-noise", f"typos in {rate:.0%} of words")
            asked = typos(task.question, rate, lab.request.seed)
            found.append(ask(answerer, task, place, lab.meter, question=asked))
    return found


def corpus_noise(lab: Lab, _: IndexReader) -> list[CaseResult]:
    """Worse documents, ingested through the ordinary stages; none of these lakes is enriched."""
    clean = mixed.documents(lab)
    seed = lab.request.seed
    corpora: dict[str, list[Document]] = {"clean": clean}
    for rate in OCR_RATES:
        corpora[f"{rate:.0%} of characters misread"] = [
            replace(d, text=ocr_noise(d.text, rate, seed)) for d in clean
        ]
    copied = duplicated(clean, COPIES, seed)
    corpora[f"{COPIES:.0%} copied"] = list(copied.documents)
    answerers = {
        name: lab.answerer(live_reader(ingested(lab, f"mixed-{number}", documents)))
        for number, (name, documents) in enumerate(corpora.items())
    }
    found: list[CaseResult] = []
    for task in lab.each(mixed.tasks(lab, 4), "corpus-noise"):
        for number, (name, answerer) in enumerate(answerers.items()):
            corpus, place = f"mixed-{number}", Place(SUITE, "corpus-noise", name)
            here = replace(
                task,
                uris=tuple(uri.replace(mixed.NAME, corpus, 1) for uri in task.uris),
                copies={
                    document_uri(corpus, copy): document_uri(corpus, original)
                    for copy, original in copied.originals.items()
                },
            )
            found.append(ask(answerer, here, place, lab.meter))
    return found


def evidence_position(lab: Lab, reader: IndexReader) -> list[CaseResult]:
    """Five passages, one of which is of the document that holds the answer."""
    answerer = lab.answerer(reader)
    found: list[CaseResult] = []
    single = [task for task in mixed.tasks(lab, 5) if len(task.uris) == 1]
    for task in lab.each(single, "evidence-position"):
        passages = answerer.evidence(task.question)
        gold = [p for p in passages if {p.head.uri, *p.head.aliases} & set(task.uris)]
        holds = task.in_evidence or (lambda _text: False)
        others = [p for p in passages if p not in gold and not holds(p.text)]
        holding = [p for p in gold if holds(p.text)]
        if not holding or len(others) < max(POSITIONS.values()):
            continue  # retrieval missed it: nothing to put anywhere
        for model in (lab.slm, lab.llm):
            for name, position in POSITIONS.items():
                placed = [*others[:position], holding[0], *others[position:4]]
                # prompts put the best passage last, so the order in the prompt is the reverse
                messages = answer_messages("llm", task.question, placed[::-1])
                place = Place(SUITE, "evidence-position", f"{model.name}, {name}")
                found.append(complete(lab, model, Prompt(task, messages, placed), place))
    return found


def batching(lab: Lab, reader: IndexReader) -> list[CaseResult]:
    """The product, one question at a time and four at once.

    ``wall seconds an answer`` is the time of a group of four over four: what a batch of many
    questions takes; ``seconds`` remains what one asker waits. A group is replayed as a whole or
    asked anew: of one that was cut off, the rest alone would be a smaller batch.
    """
    tasks = mixed.tasks(lab, 4)
    slm, llm = (lab.metered(lab.chat(r), lab.profile.spec(r), apart=" single") for r in ROLES)
    answerer = Answerer(reader, slm, llm, lab.embedder)
    found: list[CaseResult] = []
    for task in lab.each(tasks, "batching, one at a time"):
        result = ask(answerer, task, Place(SUITE, "batching", "one at a time"), lab.meter)
        wall = {"wall seconds an answer": result.seconds}
        found.append(replace(result, scores={**result.scores, **wall}))
    groups = [tasks[i : i + AT_ONCE] for i in range(0, len(tasks), AT_ONCE)]
    for group in lab.each(groups, f"batching, {AT_ONCE} at once"):
        found += _at_once(lab, reader, group)
    return found


def _at_once(lab: Lab, reader: IndexReader, group: Sequence[Task]) -> list[CaseResult]:
    key = value_hash(["at once", reader.generation.id, [task.id for task in group]])
    kept = lab.cache.get(key)
    results = [] if kept is None else _asked_at_once(lab, reader, group, str(kept["apart"]))
    if kept is None or any(result.use and not result.replayed for result in results):
        apart, started = f" batched {uuid.uuid4().hex}", time.perf_counter()
        results = _asked_at_once(lab, reader, group, apart)
        kept = {"apart": apart, "seconds": time.perf_counter() - started}
        lab.cache.put(key, kept)
    wall = {"wall seconds an answer": float(str(kept["seconds"])) / len(group)}
    return [replace(result, scores={**result.scores, **wall}) for result in results]


def _asked_at_once(
    lab: Lab, reader: IndexReader, group: Sequence[Task], apart: str
) -> list[CaseResult]:
    def answer(task: Task) -> CaseResult:
        meter = Meter(lab.cache)  # of this thread's question alone
        slm, llm = (
            lab.metered(lab.chat(r), lab.profile.spec(r), meter=meter, apart=apart) for r in ROLES
        )
        answerer = Answerer(reader, slm, llm, lab.embedder)
        place = Place(SUITE, "batching", f"{AT_ONCE} at once")
        return ask(answerer, task, place, meter)

    with ThreadPoolExecutor(len(group)) as pool:
        return list(pool.map(answer, group))


LADDERS: Mapping[str, Callable[[Lab, IndexReader], list[CaseResult]]] = {
    "model-size": model_size,
    "routing": routing,
    "quantisation": quantisation,
    "corpus-noise": corpus_noise,
    "question-noise": question_noise,
    "phrasing": phrasing,
    "evidence-position": evidence_position,
    "batching": batching,
}


# Fixed prompts


def prompts(lab: Lab, reader: IndexReader, tasks: Sequence[Task]) -> list[Prompt]:
    """The prompt that the LLM would get from the product for each task."""
    answerer = lab.answerer(reader)
    found = []
    for task in tasks:
        packed = pack(
            lab.llm,
            partial(answer_messages, "llm", task.question),
            answerer.evidence(task.question),
            replace(answerer.policy.llm, repair=0),
        )
        found.append(Prompt(task, packed.messages, packed.passages))
    return found


def complete(lab: Lab, model: ChatModel, prompt: Prompt, place: Place) -> CaseResult:
    """What a model says to a fixed prompt, unchecked."""
    return ask_model(
        model,
        prompt.messages,
        prompt.task,
        place,
        lab.meter,
        max_tokens=AnswerPolicy().llm.answer,
        passages=prompt.passages,
    )


def timed(lab: Lab, model: ChatModel, prompt: Prompt, place: Place) -> CaseResult:
    """As :func:`complete`, with the speed of reading and of writing.

    The first call writes one token, so its time is that of reading; the second finds the prompt in
    the prefix cache, so its time is that of writing.
    """
    lab.meter.take()
    try:
        read = model.complete(prompt.messages, max_tokens=1)
    except ModelRequestError as error:
        return result_of(
            partial(_refuse, error), prompt.task, place, lab.meter, prompt.task.question
        )
    (call,) = lab.meter.take()
    fresh = read.prompt_tokens - read.cached_prompt_tokens
    result = complete(lab, model, prompt, place)
    use = result.use.get(model.name)
    speeds = {"tokens read per second": fresh / read.seconds}
    warm = use is not None and use.cached_prompt_tokens > 0.8 * use.prompt_tokens
    if use is not None and warm and use.completion_tokens > 1:
        speeds["tokens written per second"] = use.completion_tokens / use.seconds
    # what an answer takes is both calls
    whole: dict[str, ModelUse] = {} if use is None else {model.name: call.use.plus(use)}
    seconds = result.seconds + read.seconds
    return replace(result, scores={**result.scores, **speeds}, use=whole, seconds=seconds)


def _refuse(error: ModelRequestError) -> Said:
    raise error
