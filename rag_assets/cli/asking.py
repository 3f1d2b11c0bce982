"""Commands that ask: ask, trace."""

from typing import Annotated

import typer

from rag_assets.cli.app import app
from rag_assets.cli.console import JsonFlag, out, show_answer, show_json
from rag_assets.settings import load_settings


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="Your question, in plain words.")],
    mode: Annotated[
        str,
        typer.Option(
            help="fact: a look-up; deep: a longer look at several documents; auto: as the "
            "question needs."
        ),
    ] = "auto",
    as_json: JsonFlag = False,
) -> None:
    """Ask the running answerer; the answer cites the documents that it rests on."""
    from rag_assets.serving.client import AnswererClient

    settings = load_settings()
    own = AnswererClient.of(settings)
    client = AnswererClient(own.url, lambda: settings.key) if settings.key else own
    record = client.ask(question, mode)
    if as_json:
        show_json(record)
    else:
        show_answer(record)


@app.command()
def trace(
    answer_id: Annotated[
        str, typer.Argument(help="The id that `rag ask` printed below the answer.")
    ],
) -> None:
    """Walk an answer back: chunk, section, document, raw bytes, Dagster run."""
    from rag_assets.answers import tracing
    from rag_assets.lake.store import LakeStore

    found = tracing.trace_answer(LakeStore(load_settings().lake_uri), answer_id)
    out.print(tracing.render_trace(found))
