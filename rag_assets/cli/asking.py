"""Commands that ask: ask, search, mcp, trace."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

from rag_assets.cli.app import app
from rag_assets.cli.console import JsonFlag, out, show_answer, show_json, show_table
from rag_assets.errors import CommandError
from rag_assets.settings import Settings, load_settings

if TYPE_CHECKING:
    from rag_assets.serving.client import AnswererClient

MOST_QUOTED = 160  # characters of a passage in the table

Sources = Annotated[
    list[str] | None, typer.Option("--source", help="Only of this source; may be repeated.")
]
Types = Annotated[
    list[str] | None, typer.Option("--type", help="Only documents of this type; may be repeated.")
]
Languages = Annotated[
    list[str] | None, typer.Option("--language", help="Only in this, such as en; may be repeated.")
]
Since = Annotated[
    str, typer.Option(help="Only documents of this day or later: 2024, 2024-03 or 2024-03-31.")
]
Until = Annotated[str, typer.Option(help="Only documents of this day or earlier.")]
Where = Annotated[
    list[str] | None,
    typer.Option(help='Only what meets "COLUMN OP VALUE", such as "page >= 3"; may be repeated.'),
]


@app.command()
def ask(
    question: Annotated[str | None, typer.Argument(help="Your question, in plain words.")] = None,
    mode: Annotated[
        str,
        typer.Option(
            help="fact: a look-up; deep: a longer look at several documents; auto: as the "
            "question needs."
        ),
    ] = "auto",
    source: Sources = None,
    type_: Types = None,
    since: Since = "",
    until: Until = "",
    language: Languages = None,
    where: Where = None,
    as_json: JsonFlag = False,
    file: Annotated[
        Path | None,
        typer.Option(
            help="Ask the questions of this file: .csv, .jsonl or .parquet with a column question."
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--out", help="Where their answers go; its end says as what: see --file."),
    ] = None,
) -> None:
    """Ask the running answerer; the answer cites the documents that it rests on."""
    filters = _filters(source, type_, language, since, until, where)
    client = _client(load_settings())
    if file is not None and question is None:
        from rag_assets.cli.asking_files import ask_file

        ask_file(client, file, to, mode, filters)
        return
    if question is None or file is not None:
        raise CommandError("expected either a question or --file FILE", code=2)
    if to is not None:
        raise CommandError("expected --file FILE beside --out, for the questions", code=2)
    record = client.ask(question, mode, filters)
    if as_json:
        show_json(record)
    else:
        show_answer(record)


@app.command()
def search(
    question: Annotated[str, typer.Argument(help="Your question, or words to look for.")],
    limit: Annotated[int, typer.Option(min=1, max=50, help="Passages at most.")] = 10,
    source: Sources = None,
    type_: Types = None,
    since: Since = "",
    until: Until = "",
    language: Languages = None,
    where: Where = None,
    as_json: JsonFlag = False,
) -> None:
    """Show the passages nearest to a question; no language model is asked."""
    from rag_assets.serving.client import AnswererDownError

    settings = load_settings()
    filters = _filters(source, type_, language, since, until, where)
    try:
        record = _client(settings).search(question, limit, filters)
    except AnswererDownError:
        from rag_assets.answers.filters import Filters
        from rag_assets.serving.searching import find_without_answerer

        wanted = Filters.of(filters)
        record = find_without_answerer(settings, question, limit, wanted).to_record()
    if as_json:
        show_json(record)
        return
    table = Table("", "score", "where", "quote", box=box.SIMPLE)
    for hit in record["hits"]:
        page = "" if hit["page"] is None else f"page {hit['page']}"
        section = " > ".join(name for name in hit["heading_path"] if name != hit["title"])
        place = "\n".join(filter(None, [hit["title"], hit["uri"], page, section]))
        quote = " ".join(hit["quote"].split())
        if len(quote) > MOST_QUOTED:
            quote = f"{quote[:MOST_QUOTED].rstrip()}..."
        table.add_row(str(hit["n"]), f"{hit['score']:.3f}", place, quote)
    show_table(table)
    out.print(f"{len(record['hits'])} passages of {record['chunks_searched']:,} chunks")


@app.command()
def mcp() -> None:
    """Serve MCP on standard input and output for a client that starts this command.

    Its tools ask the running answerer with the key of RAG_KEY, or else as this home's owner.
    """
    from rag_assets.serving.mcp_server import make_server

    client = _client(load_settings())
    make_server(lambda _context: client).run("stdio")


def _client(settings: Settings) -> "AnswererClient":
    """The running answerer, asked with the key of ``RAG_KEY``, else this home's own."""
    from rag_assets.serving.client import AnswererClient

    own = AnswererClient.of(settings)
    return AnswererClient(own.url, lambda: settings.key) if settings.key else own


def _filters(
    source: list[str] | None,
    type_: list[str] | None,
    language: list[str] | None,
    since: str,
    until: str,
    where: list[str] | None,
) -> dict[str, Any]:
    """Those that are given, as the answerer takes and checks them; see ``Filters``."""
    given = {"source": source, "type": type_, "language": language, "since": since}
    return {
        name: value for name, value in {**given, "until": until, "where": where}.items() if value
    }


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
