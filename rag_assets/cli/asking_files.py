"""``rag ask --file``: a file of questions in, a file of answers out."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_assets.cli.console import err, say
from rag_assets.errors import CommandError
from rag_assets.serving.client import AnswererClient

if TYPE_CHECKING:
    from rag_assets.batches.asking import Tally


def ask_file(
    client: AnswererClient, file: Path, out: Path | None, mode: str, filters: Mapping[str, Any]
) -> None:
    """Ask all questions of a file.

    Raises:
        CommandError: ``out`` is missing, or a question failed.
        RagError: a file is wrong, or the answerer cannot answer any question.
    """
    from rag_assets.batches.answers import check_out
    from rag_assets.batches.asking import Tally, ask_batch
    from rag_assets.batches.patience import asking
    from rag_assets.batches.questions import read_questions

    if out is None:
        raise CommandError("expected --out FILE beside --file, for the answers", code=2)
    questions = read_questions(file, mode, filters)
    check_out(questions, out)
    concurrency, tally = client.concurrency(), Tally(len(questions.rows))
    try:
        with progress() as told:
            told(tally)
            for outcome in ask_batch(questions, asking(client), out=out, concurrency=concurrency):
                tally.add(outcome)
                told(tally)
    except KeyboardInterrupt:
        err.print("stopped; the same command goes on with the questions that are left")
        raise
    say(f"the answers are in {out}", err)
    if tally.failed:
        raise CommandError(
            f"{tally.failed:,} of {tally.total:,} questions could not be answered; the column "
            f"error of {out} says why"
        )


@contextmanager
def progress() -> "Iterator[Callable[[Tally], None]]":
    """Tells how far a batch is: a bar in a terminal, lines elsewhere."""
    from functools import partial

    from rag_assets.batches.asking import Lines

    if not err.is_terminal:
        yield Lines(partial(say, to=err))
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err) as bar:
        task = bar.add_task("", total=None)
        yield lambda tally: bar.update(
            task, total=tally.total, completed=tally.done, description=str(tally)
        )
