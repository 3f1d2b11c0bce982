"""``make demo``: from source files to three answered questions, on whatever machine this is."""

from typing import NamedTuple

from rag_assets.cli.console import out, show_answer
from rag_assets.lake.store import LakeStore
from rag_assets.models.engines.engine_set import imported_ahead
from rag_assets.models.profiles import ROLES
from rag_assets.models.weights.choosing import active_profile
from rag_assets.orchestration import processes as stack
from rag_assets.orchestration.own_processes import Started, stop
from rag_assets.orchestration.refreshing import refresh_and_load, refresh_roles
from rag_assets.progress import Tell
from rag_assets.serving.client import AnswererClient
from rag_assets.settings import Settings
from rag_assets.sources.catalog import catalog

SOURCE = "sample"


class Question(NamedTuple):
    """A question of the demonstration and what it should show."""

    shows: str
    text: str
    way: str | None  # on which it should be answered; None where it should abstain


QUESTIONS = (
    Question(
        "a look-up: copied out of one passage",
        "At what speed did MV Rowan strike the pier at Brandholm on 12 February 2021?",
        "read",
    ),
    Question(
        "several facts of several documents: taken apart into look-ups",
        "Which vessel has the larger battery, MV Rowan or MV Juniper, and how many kWh does that "
        "battery hold?",
        "apart",
    ),
    Question(
        "not in the documents: an abstention",
        "What is the yearly salary of managing director Maren Oldervik?",
        None,
    ),
)


def run_demo(settings: Settings, tell: Tell) -> None:
    """Do all that a first user would, and stop what was started for it."""
    profile = active_profile()
    tell(f"profile {profile.name}: {profile.description}")
    with imported_ahead(profile, settings.cache):
        profile = stack.pull_weights(settings, profile, tell)
    started: list[Started] = []
    try:
        source = catalog(settings.sources_file, LakeStore(settings.lake_uri))[SOURCE]
        # The large model loads while documents are read. Not on a GPU: an engine that starts
        # measures the memory that is free, and those at work would change it.
        early = refresh_roles([source]) if profile.lock == "cpu" else ROLES
        engines = stack.start_engines(settings, profile, tell, wait_for=early)
        started += [engines] if engines is not None else []
        refresh_and_load(settings, [source], tell)
        if engines is not None:
            late = [role for role in ROLES if role not in early]
            stack.wait_for_engines(settings, profile, tell, engines, late)
        answerer = stack.start_answerer(settings, tell)
        started += [answerer] if answerer is not None else []
        for question in QUESTIONS:
            _ask(settings, question)
    finally:
        for process in reversed(started):
            tell(f"stopping {process.name}")
            stop(settings, process)
    out.print("\n── how to go on ──", style="bold")
    out.print(
        "rag is at .venv/bin/rag (or: source .venv/bin/activate)\n"
        "  rag up               engines, answerer and Dagster's UI at "
        f"{settings.ui_url}\n"
        '  rag ask "..."        ask; --json for scripts, --mode deep for a longer look\n'
        "  rag refresh --path FOLDER   ingest a folder of your own\n"
        "  rag trace ANSWER_ID  where an answer comes from, down to the bytes\n"
        "  rag down             stop everything"
    )


def _ask(settings: Settings, question: Question) -> None:
    """Ask, print, and say so if it did not go as announced."""
    out.print(f"\n── {question.shows} ──", style="bold")
    record = AnswererClient.of(settings).ask(question.text)
    show_answer(record)
    way = None if record["abstained"] else record["route"]["way"]
    if way != question.way:
        out.print(
            "This was meant to show something else. Models this small are near a tie at times, and "
            "processors round differently; `rag evaluate` measures how often they are right.",
            style="yellow",
        )
