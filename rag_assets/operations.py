"""What commands do: pull weights, borrow engines, refresh and hot-load, evaluate."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from rag_assets import stack
from rag_assets.errors import CommandError
from rag_assets.models.profiles import active_profile
from rag_assets.models.weights import pull
from rag_assets.settings import Settings

Tell = Callable[[str], None]


def pull_weights(settings: Settings, tell: Tell) -> None:
    """Pull what is missing of the profile's weights, telling each tenth of each step."""
    told: dict[str, int] = {}

    def progress(step: str, share: float) -> None:
        tenth = int(share * 10)
        if told.get(step) != tenth:
            told[step] = tenth
            tell(f"{step} {share:.0%}")

    pull(active_profile(), settings.cache, progress=progress)


@contextmanager
def borrowed_engines(settings: Settings, tell: Tell) -> Iterator[None]:
    """Engines for the time of a command; those that run already are used and left running."""
    started = stack.start_engines(settings, active_profile(), tell)
    try:
        yield
    finally:
        if started is not None:
            tell("stopping the engines that this command started")
            stack.stop(settings, started)


def evaluate(
    settings: Settings,
    suites: Sequence[str],
    config: Mapping[str, Any],
    tell: Tell,
    show: Callable[[str, Mapping[str, str]], None],
) -> None:
    """Run suites as one Dagster run.

    Args:
        settings: places.
        suites: names.
        config: of each suite.
        tell: told lines of progress.
        show: called with the name and the Markdown of each suite that came to its end.

    Raises:
        CommandError: a suite failed; what the models said until then is kept.
    """
    from rag_assets.instance import open_instance
    from rag_assets.running import evaluate_suites

    with borrowed_engines(settings, tell), open_instance() as instance:
        run = evaluate_suites(instance, suites, config, tell)
    for suite in suites:
        if f"{suite}_results" in run.texts:
            show(suite, run.texts[f"{suite}_results"])
    if not run.succeeded:
        said = "\n  ".join(run.errors) or "see its log"
        raise CommandError(f"run {run.run_id} of {run.what} failed:\n  {said}")


def refresh_and_load(
    settings: Settings, partitions: Sequence[str], tell: Tell, *, accept_deletions: bool = False
) -> None:
    """Refresh partitions and hot-load what came of it; engines are started only if needed.

    Args:
        settings: places.
        partitions: keys, ``<source>.<bucket>``.
        tell: told lines of progress.
        accept_deletions: also where a source lists far less than it held.

    Raises:
        CommandError: a run failed. If it was a source's that could not be read, the index of the
            others was published; if not, the live index is as it was.
    """
    # Dagster is imported here, so that pulling weights does not wait for it.
    from rag_assets.instance import open_instance
    from rag_assets.running import has_work, refresh_partitions

    needed = has_work(settings, partitions, accept_deletions=accept_deletions)
    engines = borrowed_engines(settings, tell) if needed else nullcontext()
    with engines, open_instance() as instance:
        runs = refresh_partitions(instance, partitions, tell, accept_deletions=accept_deletions)
    failed = [run for run in runs if not run.succeeded]
    if runs[-1].succeeded:
        stack.hot_load(settings, tell)
        outcome = "the other sources are up to date"
    else:
        outcome = "the live index is as it was"
    if failed:
        said = "\n".join(
            f"run {run.run_id} of {run.what} failed, {outcome}:\n  "
            + ("\n  ".join(run.errors) or "see its log")
            for run in failed
        )
        raise CommandError(said)
