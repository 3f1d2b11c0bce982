"""What answering needs, whether it is there, and how to fix it."""

import importlib.metadata
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Literal

import httpx
import psutil

from rag_assets.access.rules import FILE, read_rules
from rag_assets.answers.deriving import fitting_of
from rag_assets.answers.policy import UNCALIBRATED
from rag_assets.errors import RagError
from rag_assets.lake import generations
from rag_assets.lake.store import LakeError, LakeStore
from rag_assets.models.clients.endpoint import EndpointChat, EndpointEmbedder
from rag_assets.models.clients.endpoint import problem_of as endpoint_problem
from rag_assets.models.engines.command import engine_python, has_vllm
from rag_assets.models.engines.state import running_engines
from rag_assets.models.errors import ModelsError
from rag_assets.models.processor import has_avx512
from rag_assets.models.profiles import ROLES, Endpoint, ModelSpec, Profile
from rag_assets.models.protocols import ChatRole
from rag_assets.models.weights.choosing import active_profile
from rag_assets.models.weights.pulling import is_pulled
from rag_assets.orchestration.backup import LAST
from rag_assets.orchestration.processes import is_listening, own_engines
from rag_assets.serving.client import AnswererClient
from rag_assets.settings import Settings
from rag_assets.sources import buckets
from rag_assets.sources.catalog import Source, SourceError, catalog, withdrawn
from rag_assets.sources.golden import CaseError, load_cases
from rag_assets.sources.listing import no_file_found, problem_of
from rag_assets.sources.removal import PURGING, undeclared
from rag_assets.yaml_files import YamlFileError

Level = Literal["ok", "note", "bad"]
GIB = 2**30
BACKUP_AGE = timedelta(days=8)  # a weekly one may be late
# Three engines of the cpu profile with their KV caches: measured 12.3 in int8, 17 in float32.
MEMORY_GIB = 13 if has_avx512() else 18
DISK_GIB = 12  # environment 4, weights 4.5 while they are converted, room for a lake


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; ``note`` is something missing that a command will supply."""

    level: Level
    what: str
    found: str
    remedy: str = ""


def examine(settings: Settings) -> list[Finding]:
    """All findings, from the machine up to the answerer."""
    try:
        profile = active_profile()
    except ModelsError as error:
        wrong = Finding("bad", "profile", str(error), "correct that file, or RAG_PROFILE")
        return [*_machine(settings), wrong]
    engines = own_engines(settings, profile)
    findings = [*_machine(settings)]
    if engines:
        findings += _for_engines(settings)
    findings += _weights(settings, [profile.spec(role) for role in engines])
    findings += _endpoints(profile.endpoints_of(r for r in ROLES if r not in settings.models))
    findings += _thresholds(settings, profile)
    findings += _storage(settings)
    findings += _told("lake", _lake(settings))
    specs = [profile.spec(role) for role in engines]
    findings += _told("processes", _processes(settings, specs))
    return findings


def _told(what: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings as far as they go; what ends them is the last one."""
    try:
        yield from findings
    except RagError as error:
        yield Finding("bad", what, str(error), "then run `rag doctor` again")


def _machine(settings: Settings) -> Iterator[Finding]:
    version = platform.python_version()
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield _either(supported, "python", version, "use Python 3.11 to 3.13")
    for package in ("dagster", "lancedb"):
        yield Finding("ok", package, importlib.metadata.version(package))
    yield _disk("home", settings.home, "RAG_HOME")


def _disk(name: str, folder: Path, variable: str) -> Finding:
    exists = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(exists).free / GIB
    remedy = f"free {DISK_GIB} GiB there, or name another folder ({variable})"
    return _either(free >= DISK_GIB, f"disk of {name}", f"{free:.0f} GiB free", remedy, "note")


def _for_engines(settings: Settings) -> Iterator[Finding]:
    memory = psutil.virtual_memory().total / GIB
    enough = memory >= MEMORY_GIB
    yield _either(
        enough, "memory", f"{memory:.1f} GiB", f"three engines need {MEMORY_GIB} GiB", "note"
    )
    yield _disk("cache", settings.cache, "RAG_CACHE")
    python = engine_python()
    found = f"{'' if has_vllm(python) else 'not '}installed beside {python}"
    yield _either(has_vllm(python), "vllm", found, "run `rag engines install`", "note")


def _either(good: bool, what: str, found: str, remedy: str, otherwise: Level = "bad") -> Finding:
    return Finding("ok", what, found) if good else Finding(otherwise, what, found, remedy)


def _weights(settings: Settings, specs: Iterable[ModelSpec]) -> Iterator[Finding]:
    for spec in specs:
        pulled = is_pulled(spec, settings.cache)
        found = f"{spec.model_id}, {'pulled' if pulled else 'not in ' + str(settings.cache)}"
        yield _either(pulled, f"weights, {spec.role}", found, "run `rag models pull`")


def _endpoints(endpoints: Iterable[Endpoint]) -> Iterator[Finding]:
    """What each server can do; it is asked some small things, which takes seconds."""
    for endpoint in endpoints:
        what = f"endpoint, {endpoint.role}"
        try:
            if problem := endpoint_problem(endpoint):
                yield Finding("bad", what, problem, "then run `rag doctor` again")
                continue
            began = time.monotonic()
            can, counts = _can_embed(endpoint) if endpoint.role == "embedder" else _can(endpoint)
            took = f"examined in {time.monotonic() - began:.1f} s"
        except ModelsError as error:
            yield Finding("bad", what, str(error), "then run `rag doctor` again")
            continue
        found = ", ".join([f"{endpoint.model} at {endpoint.base_url}: {can[0]}", *can[1:], took])
        remedy = "name its tokenizer in the profile, so that more evidence is read"
        yield _either(bool(counts), what, found, remedy, "note")


def _can(endpoint: Endpoint) -> tuple[list[str], str]:
    role: ChatRole = "slm" if endpoint.role == "slm" else "llm"
    chat = EndpointChat(endpoint, role)
    can = chat.abilities
    done = chat.complete([{"role": "user", "content": "Say yes."}], max_tokens=1)
    return [
        f"context {can.max_model_len:,}",
        f"{'' if can.logprobs else 'no '}log-probabilities",
        f"{'' if can.json_schema else 'no '}JSON schema",
        _counted(can.counts),
        f"one token in {done.seconds:.2f} s",
    ], can.counts


def _can_embed(endpoint: Endpoint) -> tuple[list[str], str]:
    embedder = EndpointEmbedder(endpoint)
    vectors = embedder.embed(["yes"])
    return [
        f"window {embedder.max_tokens:,}",
        f"dimension {vectors.shape[1]}",
        f"{embedder.batch} texts a request",
        _counted(embedder.counts),
    ], embedder.counts


def _counted(counts: str) -> str:
    return f"tokens counted ({counts})" if counts else "tokens as an upper bound"


def _thresholds(settings: Settings, profile: Profile) -> Iterator[Finding]:
    """Of the profile's own models; what serves a role in their place is known when it answers."""
    found = fitting_of(profile, settings.home)
    remedy = (
        "answers say so; learn them on your models, or state them: see Thresholds in docs/models.md"
    )
    fits = not found.standing.startswith(UNCALIBRATED)
    yield _either(fits, "thresholds", found.standing, remedy, "note")
    for remark in found.remarks:
        yield Finding("note", "calibration", remark, "make that file anew, or remove it")


def _storage(settings: Settings) -> Iterator[Finding]:
    if settings.postgres_url is None:
        yield Finding("ok", "dagster storage", f"SQLite in {settings.dagster_home}")
        return
    import psycopg2  # comes with dagster-postgres; needed only where a server is named

    try:
        psycopg2.connect(settings.postgres_url, connect_timeout=3).close()
    except psycopg2.Error as error:
        said = " ".join(str(error).split())
        remedy = "start the server, correct RAG_POSTGRES_URL, or unset it for SQLite"
        yield Finding("bad", "dagster storage", f"PostgreSQL: {said}", remedy)
    else:
        yield Finding("ok", "dagster storage", "PostgreSQL, reachable")


def _lake(settings: Settings) -> Iterator[Finding]:
    store = LakeStore(settings.lake_uri)
    try:
        pointer = generations.live(store)
    except (LakeError, OSError) as error:
        yield Finding("bad", "lake", str(error), "name a writable place in RAG_LAKE")
        return
    yield Finding("ok", "lake", settings.lake_uri)
    if "://" not in settings.lake_uri:
        yield _backup(store, datetime.now(UTC))
    live = "none yet" if pointer is None else f"{pointer.generation_id} since {pointer.since}"
    yield _either(pointer is not None, "live generation", live, "run `rag refresh`", "note")
    known = catalog(settings.sources_file, store)
    for fault in known.faults:
        remedy = "correct it; till then it is not refreshed"
        yield Finding("bad", f"source {fault.name}".strip(), fault.problem, remedy)
    if not known and not known.faults:
        remedy = f"declare one in {settings.sources_file}, or run `rag refresh --path FOLDER`"
        yield Finding("note", "sources", "none declared", remedy)
    for name, source in known.items():
        problem = _problem_of(store, source)
        level: Level = "note" if problem == no_file_found(source) else "bad"
        yield _either(not problem, f"source {name}", problem or source.where, "", level)
    yield from _access(settings, set(known))
    yield from _overlaps([source for source in known.values() if source.kind == "folder"])
    named = {*known, *(fault.name for fault in known.faults)}
    if begun := store.get_record(PURGING):
        name = begun["uri"] or begun["source"]
        yield Finding(
            "bad", "purge", f"{name} is not wholly erased", f"run `rag purge {name}` again"
        )
    gone = withdrawn(settings.sources_file, store)
    for name, n_files in undeclared(store, named).items():
        answered = "no longer" if name in gone else "still"
        found = f"declared nowhere, and {answered} answered from ({n_files:,} files)"
        yield Finding(
            "note", f"source {name}", found, f"declare it, or `rag sources remove {name}`"
        )


def _backup(store: LakeStore, now: datetime) -> Finding:
    last = store.get_record(LAST)
    if last is None:
        return Finding("note", "backup", "none was made yet", "run `rag backup FOLDER`")
    age = now - datetime.fromisoformat(last["made_at"])
    found = f"{age.days} days old, in {last['where']}"
    return _either(age < BACKUP_AGE, "backup", found, "run `rag backup FOLDER`", "note")


def _ui(settings: Settings) -> Finding:
    """Whether the guard stands before Dagster's UI, and whether it asks for a token."""
    what = "Dagster's UI"
    try:
        said = httpx.get(f"{settings.ui_url}/server_info", timeout=5.0, trust_env=False)
    except httpx.HTTPError:
        return Finding("note", what, "does not run", "run `rag up`")
    if said.headers.get("x-frame-options") != "DENY":
        found = f"what listens at {settings.ui_url} has no guard: any web page can start runs there"
        return Finding("bad", what, found, "stop it, and run `rag up` in place of `dagster dev`")
    token = "a" if settings.ui_token else "no"
    found = f"{settings.ui_url}, behind its guard, asks for {token} token"
    remedy = f"set RAG_UI_TOKEN, unless the proxy of {', '.join(settings.ui_hosts)} asks who comes"
    return _either(bool(settings.ui_token) or not settings.ui_hosts, what, found, remedy, "note")


def _access(settings: Settings, declared: set[str]) -> Iterator[Finding]:
    """What of ``access.yaml`` is wrong, or opens less than a person may think."""
    path = settings.home / FILE
    if not path.exists():
        return
    try:
        rules = read_rules(path)
    except YamlFileError as error:
        yield Finding("bad", "access", str(error), "correct it; till then nobody is answered")
        return
    yield Finding("ok", "access", f"{len(rules.keys)} keys in {path}")
    for name in sorted(declared - rules.sources.keys()):
        found = f"source {name} is not listed, so operators alone may read it"
        yield Finding("note", "access", found, f"list it under sources in {path}")
    for name in sorted(rules.sources.keys() - declared):
        yield Finding("note", "access", f"source {name} is declared nowhere", "mind its spelling")


def _overlaps(folders: Sequence[Source]) -> Iterator[Finding]:
    """Folders that lie in one another: each file of the inner one is read twice."""
    roots = {source.name: os.path.realpath(source.where) for source in folders}
    for (one, inner), (other, outer) in permutations(roots.items(), 2):
        is_within = inner.startswith(f"{outer.rstrip('/')}/") or (inner == outer and one < other)
        if is_within:
            remedy = f"take one of the two out, or exclude these files from {other}"
            yield Finding("note", f"source {one}", f"lies in source {other}", remedy)


def _problem_of(store: LakeStore, source: Source) -> str:
    try:
        load_cases(source)
        buckets.check(store, source)
    except (CaseError, SourceError) as error:
        return str(error)
    return problem_of(source)


def _processes(settings: Settings, specs: Iterable[ModelSpec]) -> Iterator[Finding]:
    running = running_engines(settings.state)
    for spec in specs:
        what = f"engine, {spec.role}"
        if spec.role in running:
            yield Finding("ok", what, f"answers at {spec.url}")
        elif is_listening(spec.port):
            found = f"port {spec.port} is in use by another program"
            yield Finding("bad", what, found, "stop it, or set RAG_ENGINE_PORT_BASE")
        else:
            yield Finding("note", what, "does not run", "run `rag up`")
    yield _ui(settings)
    client = AnswererClient.of(settings)
    if client.is_up():
        reason = client.readiness()
        yield _either(not reason, "answerer", reason or "ready", "see its run in Dagster", "note")
    elif client.is_kept():
        yield Finding("note", "answerer", client.readiness(), "see `rag status`")
    elif is_listening(settings.answerer_port):
        found = f"port {settings.answerer_port} is in use by another program"
        yield Finding("bad", "answerer", found, "stop it, or set RAG_ANSWERER_PORT")
    else:
        yield Finding("note", "answerer", "does not run", "run `rag up`")
