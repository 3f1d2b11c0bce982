"""Commands that ask: ask, trace."""

import json
from typing import Annotated

import typer

from rag_assets.cli.app import app
from rag_assets.cli.console import JsonFlag, out, show_answer
from rag_assets.settings import load_settings


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="In plain words.")],
    mode: Annotated[str, typer.Option(help="auto, fact (small model) or deep.")] = "auto",
    as_json: JsonFlag = False,
) -> None:
    """Ask the running answerer; the answer cites the documents that it rests on."""
    from rag_assets.serving.client import AnswererClient

    record = AnswererClient(load_settings().answerer_url).ask(question, mode)
    if as_json:
        print(json.dumps(record, ensure_ascii=False, indent=1))  # noqa: T201 - a script reads it
    else:
        show_answer(record)


@app.command()
def trace(
    answer_id: Annotated[str, typer.Argument(help="As `rag ask` prints it.")],
) -> None:
    """Walk an answer back: chunk, section, document, raw bytes, Dagster run."""
    from rag_assets.answers import tracing
    from rag_assets.lake.store import LakeStore

    found = tracing.trace_answer(LakeStore(load_settings().lake_uri), answer_id)
    out.print(tracing.render_trace(found), markup=False)
