import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import rag_assets.sources.catalog
from rag_assets.lake.store import LakeStore
from rag_assets.settings import load_settings
from rag_assets.sources.catalog import (
    Source,
    SourceError,
    WebOptions,
    add_folder,
    catalog,
    declared,
    documents_but,
    note_declared,
    source_name,
    withdrawn,
)


def fault_of(path: Path) -> str:
    """What is wrong with a file in which nothing can be used."""
    found = declared(path)
    assert not found
    return "\n".join(found.problems)


def write(folder: Path, text: str) -> Path:
    path = folder / "sources.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_field(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        sources:
          - {name: a, kind: folder, where: corpus, include: ["*.md"], exclude: ["x/*"],
             buckets: 4, cron: "0 3 * * *", golden: golden.jsonl, enrich: false}
          - {name: b, kind: folder, where: /srv/b}
        """,
    )
    found = declared(path)
    assert found["a"] == Source(
        "a", "folder", str(tmp_path / "corpus"), ("*.md",), ("x/*",), 4, "0 3 * * *",
        str(tmp_path / "golden.jsonl"), enrich="none",
    )  # fmt: skip
    assert found["b"] == Source("b", "folder", "/srv/b")
    assert found["a"].partitions == ["a.0", "a.1", "a.2", "a.3"]
    assert found["a"].partition_of("a:x.md") in found["a"].partitions
    assert source_name("a-b_c.12") == "a-b_c"


def test_no_file_no_sources(tmp_path: Path) -> None:
    assert declared(tmp_path / "absent.yaml") == {}
    assert declared(write(tmp_path, "sources: []")) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a list called 'sources'"),
        ("sources:", "expected a list called 'sources'"),
        ("- a", "expected a list called 'sources'"),
        ("sources: [a]", "expected a list called 'sources'"),
        ("sources: [", "expected a list called 'sources'"),
        ("sources: [{name: a, kind: folder}]", "'where'"),
        ("sources: [{name: a, kind: folder, where: x, colour: red}]", "colour"),
        ("sources: [{name: a, kind: folder, where: x, enrich: 0}]", "enrich must be false, labels"),
        ("sources: [{name: a, kind: folder, where: x, enrich: all}]", "false, labels or full, got"),
        ("sources: [{name: a, kind: folder, where: x, document_types: [a]}]", "a block of labels"),
        (
            "sources: [{name: a, kind: folder, where: x, document_types: {log: A log.}}]",
            "two labels",
        ),
        (
            "sources: [{name: a, kind: folder, where: x, document_types: {log: 1, x: A.}}]",
            "document_types.log must be a sentence",
        ),
        (
            "sources: [{name: a, kind: folder, where: x, document_types: {log: [], x: A.}}]",
            "document_types.log must be a sentence",
        ),
        (
            "sources: [{name: a, kind: folder, where: x, document_types: {1: A., x: A.}}]",
            "a label in document_types must be a text",
        ),
        ("sources: [{name: A B, kind: folder, where: x}]", "lower-case letters"),
        ("sources: [{name: a.b, kind: folder, where: x}]", "lower-case letters"),
        ("sources: [{name: 1, kind: folder, where: x}]", "name must be lower-case letters"),
        ("sources: [{name: a, kind: ftp, where: x}]", "kind must be one of folder, object_store,"),
        ("sources: [{name: a, kind: folder, where: 1}]", "where must be|unsupported operand"),
        ("sources: [{name: a, kind: folder, where: ''}]", "where must be a path or a URL"),
        ("sources: [{name: a, kind: folder, where: 's3://b'}]", "where must be .* object_store"),
        ("sources: [{name: a, kind: folder, where: x, web: {delay_s: 2}}]", "no such block"),
        ("sources: [{name: a, kind: folder, where: x, storage: {anon: true}}]", "storage must be"),
        ("sources: [{name: a, kind: object_store, where: x}]", "such as s3://bucket"),
        ("sources: [{name: a, kind: object_store, where: 'https://h/x'}]", "for HTTP: kind web"),
        ("sources: [{name: a, kind: object_store, where: 'cached::http://h'}]", "object store's U"),
        ("sources: [{name: a, kind: object_store, where: 's3://k:s@b'}]", "no user name"),
        ("sources: [{name: a, kind: object_store, where: 's3://b', storage: x}]", "a block of"),
        ("sources: [{name: a, kind: archive, where: 'http://h/x.zip'}]", "for HTTP: kind web"),
        ("sources: [{name: a, kind: web, where: 'ftp://h/x'}]", r"http\(s\) URL"),
        ("sources: [{name: a, kind: web, where: 'http://h', buckets: 2}]", "buckets must be 1"),
        ("sources: [{name: a, kind: web, where: 'http://h', web: x}]", "must be a block"),
        ("sources: [{name: a, kind: web, where: 'http://h', web: {x: 1}}]", "web.x is not a field"),
        ("sources: [{name: a, kind: web, where: 'http://h', web: {delay_s: -1}}]", "0 to 60"),
        ("sources: [{name: a, kind: web, where: 'http://h', web: {delay_s: '1'}}]", "0 to 60"),
        ("sources: [{name: a, kind: web, where: 'http://h', web: {max_pages: 0}}]", "from 1 up"),
        ("sources: [{name: a, kind: web, where: 'http://h', web: {max_bytes: 1.5}}]", "from 1 up"),
        ("sources: [{name: a, kind: web, where: 'http://h', web: {hosts: h}}]", "list of hosts"),
        ("sources: [{name: a, kind: web, where: 'http://h', web: {allow_private: 1}}]", "true or"),
        ("sources: [{name: a, kind: web, where: 'http://h', web: {user_agent: ''}}]", "a word"),
        (
            "sources: [{name: a, kind: web, where: 'http://h', web: {user_agent: \"a\\nb\"}}]",
            "ASCII",
        ),
        ("sources: [{name: a, kind: web, where: 'http://[::1'}]", "correct its host and port"),
        ("sources: [{name: a, kind: web, where: 'http://h:99999/'}]", "correct its host and port"),
        ("sources: [{name: a, kind: web, where: 'https://'}]", "a URL with a host"),
        (
            "sources: [{name: a, kind: web, where: 'http://h', web: {hosts: ['http://x']}}]",
            "list of hosts",
        ),
        ("sources: [{name: a, kind: folder, where: x, buckets: 3}]", "power of two"),
        ("sources: [{name: a, kind: folder, where: x, buckets: many}]", "a power of two"),
        ("sources: [{name: a, kind: folder, where: x, include: '*.md'}]", "list of glob patterns"),
        (
            "sources: [{name: a, kind: folder, where: x}, {name: a, kind: folder, where: y}]",
            "same name",
        ),
    ],
)
def test_wrong_declarations_are_explained(tmp_path: Path, text: str, message: str) -> None:
    assert re.search(message, fault_of(write(tmp_path, text)))


@pytest.mark.parametrize(
    ("field", "given", "expected"),
    [
        ("name", "[a]", "lower-case letters"),
        ("name", "''", "lower-case letters"),
        ("kind", "5", "the name of a kind"),
        ("kind", "' '", "the name of a kind"),
        ("kind", "'module:'", "one of folder, object_store"),
        ("where", "5", "a path or a URL"),
        ("where", "' '", "a path or a URL"),
        ("where", '"a\\0b"', "a path or a URL"),
        ("where", '"a\\ud800b"', "a path or a URL"),
        ("where", "null", "a path or a URL"),
        ("include", "'*.md'", "a list of glob patterns"),
        ("include", "[5]", "a list of glob patterns"),
        ("include", "['']", "a list of glob patterns"),
        ("exclude", "{a: b}", "a list of glob patterns"),
        ("exclude", "null", "a list of glob patterns"),
        ("buckets", "-2", "a power of two"),
        ("buckets", "0", "a power of two"),
        ("buckets", "2.0", "a power of two"),
        ("buckets", "true", "a power of two"),
        ("buckets", "null", "a power of two"),
        ("buckets", "131072", "a power of two (1, 2, 4, ...), at most 65,536"),
        ("buckets", "1073741824", "a power of two (1, 2, 4, ...), at most 65,536"),
        ("cron", "nonsense", "a schedule of five fields"),
        ("cron", "'61 * * * *'", "a schedule of five fields"),
        ("cron", "''", "a schedule of five fields"),
        ("cron", "5", "a schedule of five fields"),
        ("cron", "['0 3 * * *']", "a schedule of five fields"),
        ("golden", "5", "the path of a file on this machine"),
        ("golden", "' '", "the path of a file on this machine"),
        ("golden", "[a.jsonl]", "the path of a file on this machine"),
        ("golden", "'s3://b/a.jsonl'", "the path of a file on this machine"),
        ("labels", "false", "the path of a file on this machine"),
        ("labels", "''", "the path of a file on this machine"),
        ("enrich", "null", "false, labels or full"),
        ("enrich", "[full]", "false, labels or full"),
        ("document_types", "null", "a block of labels"),
        ("document_types", "{' ': A., x: B.}", "a text of at most 40"),
        ("document_types", '{" a": A., "a": B.}', "labels that differ by more than spaces"),
        ("document_types", '{"a  b": A., "a b ": B.}', "labels that differ by more than spaces"),
        ("document_types", "{a: '', b: B.}", "a sentence (or a list of them)"),
        ("document_types", "{a: [5], b: B.}", "a sentence (or a list of them)"),
        ("storage", "[a]", "a block of fields"),
        ("storage", "null", "a block of fields"),
        ("storage", "{5: a}", "a block of named fields"),
        ("web", "null", "a block of fields"),
        ("web.delay_s", ".nan", "seconds from 0 to 60"),
        ("web.delay_s", "true", "seconds from 0 to 60"),
        ("web.max_bytes", "1e30", "a whole number from 1 up"),
        ("web.max_bytes", "100000000000000000000", "a whole number from 1 up"),
        ("web.max_pages", "-1", "a whole number from 1 up"),
        ("web.hosts", "['']", "a list of hosts"),
        ("web.hosts", "['a b']", "a list of hosts"),
        ("web.hosts", "null", "a list of hosts"),
        ("web.user_agent", "5", "printable ASCII that begins with a word"),
        ("web.user_agent", "null", "printable ASCII that begins with a word"),
        ("web.allow_private", "null", "true or false"),
    ],
)
def test_each_field_says_what_it_must_be(
    tmp_path: Path, field: str, given: str, expected: str
) -> None:
    block, _, inner = field.rpartition(".")
    entry = {"name": "a", "kind": "folder", "where": "x"}
    if block == "web":
        entry |= {"kind": "web", "where": "'https://h/'", "web": f"{{{inner}: {given}}}"}
    elif field == "storage":
        entry |= {"kind": "object_store", "where": "'s3://b'", field: given}
    else:
        entry |= {field: given}
    fields = ", ".join(f"{name}: {value}" for name, value in entry.items())
    path = write(tmp_path, f"sources: [{{{fields}}}]")
    said = fault_of(path)
    name = "a" if field != "name" else ""
    assert said.startswith(f"{path}, line 1: source {name}")
    assert field in said
    assert f" must be {expected}" in said
    assert ", got " in said


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("sources: []\nsources: []", 2, "sources"),
        ("sources:\n  - name: a\n    kind: web\n    name: b", 4, "name"),
        ("sources:\n  - name: a\n    document_types:\n      log: A.\n      log: B.", 5, "log"),
        ("sources:\n  - storage: {anon: true,\n      anon: false}", 3, "anon"),
    ],
)
def test_a_key_given_twice_is_named_with_its_line(
    tmp_path: Path, text: str, line: int, key: str
) -> None:
    assert re.search(rf"yaml, line {line}: '{key}' stands twice", fault_of(write(tmp_path, text)))


GOOD = "  - {name: good, kind: folder, where: x}\n"
BAD = [
    "{name: bad, kind: folder, where: y, cron: daily at 3}",
    "{name: bad, kind: folder, where: y, cron: 0 3 30 feb *}",
    "{name: bad, kind: folder, where: y, buckets: 3}",
    "{name: bad, kind: folder, where: y, enrich: perhaps}",
    "{name: bad, kind: shelf, where: y}",
    "{name: bad, kind: folder, where: 2024-13-45}",
    "{name: bad, kind: folder, where: y, where: z}",
    "{name: bad, kind: folder, where: !!python/object:os.system y}",
    "{name: bad, kind: folder}",
    "{name: bad, folder: y}",
    "{name: bad, kind: folder, where: y}\n  - {name: bad, kind: folder, where: z}",
]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("first", [True, False])
def test_a_bad_entry_stops_nobody(tmp_path: Path, bad: str, first: bool) -> None:
    entries = [f"  - {bad}\n", GOOD]
    path = write(tmp_path, "sources:\n" + "".join(entries if first else reversed(entries)))
    found = declared(path)
    assert [*found] == ["good"]
    assert {fault.name for fault in found.faults} == {"bad"}
    line = 2 if first else 3
    assert f"{path}, line {line}" in found.problems[0]
    assert "source bad" in found.problems[0]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
KNOWN = [field.name for field in fields(Source)]


@given(st.dictionaries(st.sampled_from(KNOWN) | st.text(), values, max_size=6))
def test_no_entry_ends_the_reading_of_the_others(
    tmp_path_factory: pytest.TempPathFactory, entry: dict[str, object]
) -> None:
    path = tmp_path_factory.getbasetemp() / "sources.yaml"
    good = {"name": "good", "kind": "folder", "where": "x"}
    start = {"name": "bad", "kind": "folder", "where": "y"}
    path.write_text(yaml.safe_dump({"sources": [start | entry, good]}))
    found = declared(path)
    assert "good" in found or entry.get("name") == "good"
    assert len(found) + len(found.faults) == 2


def test_a_record_that_means_nothing_stops_nobody(store: LakeStore, tmp_path: Path) -> None:
    store.put_record("sources/old", {"name": "old", "shelf": 1})
    store.put_record("sources/list", [])
    good = add_folder(store, tmp_path)
    found = catalog(write(tmp_path, "sources: ["), store)
    assert [*found] == [good.name]
    assert [fault.name for fault in found.faults] == ["list", "old", ""]
    assert "`rag sources remove old`" in found.problems[1]


def test_parts_that_are_shared_are_no_keys_given_twice(tmp_path: Path) -> None:
    text = """
    sources:
      - &first {name: a, kind: folder, where: x, cron: "@daily"}
      - {<<: *first, name: b}
    """
    assert [one.cron for one in declared(write(tmp_path, text)).values()] == ["@daily", "@daily"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sources: [{name: a, when: 2024-13-45}]", "source a: .*line 1: month must be in 1..12"),
        ("sources: [&a {name: *a}]", "line 1: source .*'kind' is missing"),
        ("sources: [5]", "expected a list called 'sources' in .*; entry 1 is int"),
        ("sources: {a: b}", "expected a list called 'sources' in"),
        ("{[a]: b}", "expected a list called 'sources' in"),
        ("[{a: b}]", "expected a list called 'sources' in"),
        ("sources: [", "is not YAML.*expected a list called 'sources' in"),
        ("", "expected a list called 'sources' in"),
    ],
)
def test_yaml_of_another_form_is_explained(tmp_path: Path, text: str, said: str) -> None:
    assert re.search(said, fault_of(write(tmp_path, text)))


@pytest.mark.parametrize(
    "storage",
    ["{key: AKIA}", "{secret: x}", "{token: x}", "{account_key: x}", "{sas_token: x}",
     "{password: x}", "{connection_string: x}", "{client_kwargs: {aws_secret_access_key: x}}",
     "{endpoint_url: 'https://u:p@h'}"],
)  # fmt: skip
def test_secrets_are_refused(tmp_path: Path, storage: str) -> None:
    text = f"sources: [{{name: a, kind: object_store, where: 's3://b', storage: {storage}}}]"
    said = fault_of(write(tmp_path, text))
    assert "give it through the environment" in said
    assert "AKIA" not in said


@pytest.mark.parametrize(
    "entry",
    ["kind: folder, where: x, storage: {secret: AKIA}",
     "kind: object_store, where: 's3://b', storage: 'secret=AKIA'",
     "kind: web, where: 'http://u:AKIA@[::1'"],
)  # fmt: skip
def test_secrets_are_not_repeated(tmp_path: Path, entry: str) -> None:
    assert "AKIA" not in fault_of(write(tmp_path, f"sources: [{{name: a, {entry}}}]"))


def test_no_token_is_no_secret(tmp_path: Path) -> None:
    text = "sources: [{name: a, kind: object_store, where: 'gs://b', storage: {token: anon}}]"
    assert declared(write(tmp_path, text))["a"].storage == {"token": "anon"}


def test_example_of_the_docstring(tmp_path: Path) -> None:
    text = str(rag_assets.sources.catalog.__doc__).split("::\n", 1)[1].rsplit("\nIf a source", 1)[0]
    found = declared(write(tmp_path, text))
    assert [source.kind for source in found.values()] == [
        "folder", "object_store", "archive", "web",
    ]  # fmt: skip
    assert found["sample"].enrich == "labels"
    assert {label: len(said) for label, said in found["sample"].document_types.items()} == {
        "guide": 1, "minutes": 2,
    }  # fmt: skip
    assert found["contracts"].where == "s3://company-docs/contracts"
    assert found["contracts"].storage["endpoint_url"] == "https://minio.example.org"
    assert found["manuals"].where == str(tmp_path / "manuals.zip")
    assert found["handbook"].where == "https://handbook.example.org/sitemap.xml"
    assert found["handbook"].web == WebOptions()  # what the example says are the defaults


def test_a_list_on_this_machine_is_found_beside_the_file(tmp_path: Path) -> None:
    text = "sources: [{name: a, kind: web, where: urls.txt, web: {hosts: [A.example]}}]"
    found = declared(write(tmp_path, text))["a"]
    assert found.where == str(tmp_path / "urls.txt")
    assert found.web.hosts == ("a.example",)


def test_bytes_that_are_no_text_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "sources.yaml"
    path.write_bytes(b"sources: [\xff]")
    assert "cannot be read as text: 'utf-8' codec" in fault_of(path)
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    assert "cannot be read as text" in fault_of(path)
    path.unlink()
    path.mkdir()
    assert "Is a directory" in fault_of(path)


def test_folder_added_ad_hoc(store: LakeStore, tmp_path: Path) -> None:
    folder = tmp_path / "Meine Übersicht (2024)"
    folder.mkdir()
    source = add_folder(store, folder)
    assert source.name.startswith("meine-bersicht-2024-")
    assert add_folder(store, folder / ".." / folder.name) == source
    path = write(tmp_path, "sources: [{name: a, kind: folder, where: x}]")
    assert set(catalog(path, store)) == {"a", source.name}
    assert catalog(path, store)[source.name] == source


def test_equal_names_of_different_folders_stay_apart(store: LakeStore, tmp_path: Path) -> None:
    for parent in "ab":
        (tmp_path / parent / "docs").mkdir(parents=True)
    names = {add_folder(store, tmp_path / parent / "docs").name for parent in "ab"}
    assert len(names) == 2


def test_what_is_no_folder_is_not_added(store: LakeStore, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="expected a folder"):
        add_folder(store, tmp_path / "absent")
    assert store.records("sources") == []


def test_settings_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RAG_LAKE", "RAG_POSTGRES_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    monkeypatch.setenv("RAG_ANSWERER_PORT", "9000")
    found = load_settings()
    assert found.lake_uri == str(tmp_path / "lake")
    assert found.sources_file == tmp_path / "sources.yaml"
    assert found.answerer_url == "http://127.0.0.1:9000"
    assert found.postgres_url is None


def test_labels_of_a_source_and_how_it_is_enriched(tmp_path: Path) -> None:
    path = tmp_path / "sources.yaml"
    path.write_text(
        """
        sources:
          - {name: a, kind: folder, where: x}
          - {name: b, kind: folder, where: x, enrich: true}
          - name: c
            kind: folder
            where: x
            enrich: full
            document_types: {log: A log., minutes: [Minutes., Notes of a meeting.]}
        """
    )
    plain, said, full = declared(path).values()
    assert (plain.enrich, said.enrich, full.enrich) == ("labels", "labels", "full")
    assert plain.document_types == {}
    assert full.document_types == {
        "log": ("A log.",),
        "minutes": ("Minutes.", "Notes of a meeting."),
    }


def test_what_was_taken_out_of_the_file_is_withdrawn(tmp_path: Path) -> None:
    store = LakeStore(str(tmp_path / "lake"))
    both = "sources: [{name: a, kind: folder, where: a}, {name: b, kind: folder, where: b}]"
    path = write(tmp_path, both)
    note_declared(store, catalog(path, store).values())
    note_declared(store, [Source("of-a-program", "folder", "/p")])  # no file declares it
    assert withdrawn(path, store) == set()
    write(tmp_path, "sources: [{name: a, kind: folder, where: a}]")
    assert withdrawn(path, store) == {"b"}
    write(tmp_path, "sources: [{name: a, kind: folder, where: a}, {name: b, kind: nonsense}]")
    assert withdrawn(path, store) == set()  # declared wrongly is declared
    write(tmp_path, "sources: [}")
    assert withdrawn(path, store) == set()
    path.unlink()
    assert withdrawn(path, store) == set()


def test_documents_of_other_sources() -> None:
    where, stands = documents_but(["b", "a-b"])
    assert where == "NOT starts_with(uri, 'a-b:') AND NOT starts_with(uri, 'b:')"
    assert [stands(uri) for uri in ("a:b:c", "b:x", "a-b:x", "ba:x")] == [True, False, False, True]
    assert documents_but([])[1]("a:b")
