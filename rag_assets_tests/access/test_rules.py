"""``access.yaml``: what it says, what is refused, who a key is."""

from datetime import date
from pathlib import Path

import pytest

from rag_assets.access.file import AccessError, AccessFile
from rag_assets.access.rules import Rules, hash_of, read_rules
from rag_assets.yaml_files import YamlFileError

TODAY = date(2026, 11, 30)
FILE = f"""
keys:
  - {{name: ada, sha256: {hash_of("ada-secret")}, groups: [hr], expires: 2026-12-01}}
  - {{name: old, sha256: {hash_of("old-secret")}, groups: [hr], expires: 2026-11-30}}
  - {{name: chat, sha256: {hash_of("chat-secret")}, acts_for: {{user: X-User}}}}
  - name: gate
    sha256: {hash_of("gate-secret")}
    acts_for: {{user: X-User, groups: X-Groups}}
  - {{name: root, sha256: {hash_of("root-secret")}, operator: true}}
people:
  ada@example.org: [hr]
rules:
  - {{uri: "docs:hr/pay.pdf", groups: [board]}}
  - {{uri: "docs:hr/**", groups: [hr]}}
  - {{uri: "accounts:**", groups: []}}
sources:
  docs: everyone
  books: [board]
  accounts: everyone
"""


@pytest.fixture
def rules(tmp_path: Path) -> Rules:
    return read(tmp_path, FILE)


def read(folder: Path, text: str) -> Rules:
    (folder / "access.yaml").write_text(text)
    return read_rules(folder / "access.yaml")


@pytest.mark.parametrize(
    ("uri", "groups"),
    [
        ("docs:a.md", ["", "hr", "board"]),
        ("docs:hr/a.md", ["hr"]),
        ("docs:hr/pay.pdf", ["board"]),
        ("docs:hr/pay.pdf.md", ["hr"]),
        ("docs:hrx/a.md", ["", "hr", "board"]),
        ("books:a.md", ["board"]),
        ("accounts:a.md", []),
        ("elsewhere:a.md", []),
        ("doc:a.md", []),
        ("", []),
    ],
)
def test_the_first_place_decides(rules: Rules, uri: str, groups: list[str]) -> None:
    seen = [group for group in ("", "hr", "board") if rules.view(*filter(None, [group])).sees(uri)]
    assert seen == groups


def test_accents_are_read_in_either_form(tmp_path: Path) -> None:
    of = read(
        tmp_path, 'rules: [{uri: "docs:b\u00fccher/**", groups: [hr]}]\nsources: {docs: everyone}'
    )
    for uri in ("docs:b\u00fccher/a.md", "docs:bu\u0308cher/a.md"):
        assert not of.view().sees(uri)
        assert of.view("hr").sees(uri)


@pytest.mark.parametrize(
    ("headers", "groups"),
    [
        ({"authorization": "Bearer ada-secret"}, {"hr"}),
        ({"authorization": "bearer  ada-secret "}, {"hr"}),
        ({"authorization": "Bearer chat-secret"}, set()),
        ({"authorization": "Bearer chat-secret", "x-user": "ada@example.org"}, {"hr"}),
        ({"authorization": "Bearer chat-secret", "x-user": "eve@example.org"}, set()),
        ({"authorization": "Bearer chat-secret", "x-groups": "hr"}, set()),
        (
            {"authorization": "Bearer gate-secret", "x-user": "eve", "x-groups": "board, hr"},
            {"board", "hr"},
        ),
        ({"authorization": "Bearer ada-secret", "x-user": "eve", "x-groups": "board"}, {"hr"}),
    ],
)
def test_a_key_says_who_asks(rules: Rules, headers: dict[str, str], groups: set[str]) -> None:
    caller = rules.caller(headers, TODAY)
    assert caller is not None
    assert caller.view is not None
    assert caller.view.groups == groups


@pytest.mark.parametrize(
    "given",
    [
        "",
        "ada-secret",
        "Basic ada-secret",
        "Bearer",
        "Bearer wrong",
        "Bearer old-secret",
        f"Bearer {hash_of('ada-secret')}",
        "Bearer \ud800",
    ],
    ids=ascii,
)
def test_nobody_else_is_known(rules: Rules, given: str) -> None:
    assert rules.caller({"authorization": given, "x-user": "ada@example.org"}, TODAY) is None
    assert rules.caller({}, TODAY) is None


def test_an_operator_reads_everything(rules: Rules) -> None:
    root = rules.caller({"authorization": "Bearer root-secret"}, TODAY)
    assert root is not None
    assert root.is_operator


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("keys: [{name: a, sha256: 5}]", "line 1, keys.0.sha256: expected a valid string, got 5"),
        ("\n\nkeys:\n- {name: a b, sha256: x}", "line 4, keys.0.name"),
        ("sources: {docs: hr}", "sources.docs: expected everyone, or a list of groups, got 'hr'"),
        ("sources: {docs: [everyone]}", "expected a group's name without spaces"),
        ("sources: {docs: ['a b']}", "expected a group's name without spaces"),
        ("sourcez: {}", "sourcez: there is no such field"),
        ("rules: [{uri: 'hr/**', groups: [a]}]", "rules.0.uri: expected the uri of a document"),
        ("rules: [{uri: 'docs:hr**', groups: [a]}]", "expected the uri of a document"),
        ("rules: [{uri: 'docs:*/a', groups: [a]}]", "expected the uri of a document"),
        (
            "rules: [{uri: 'd:a/**', groups: [a]}, {uri: 'd:a/b', groups: [b]}]",
            "expected the narrower rule first: d:a/b is never reached behind d:a/**",
        ),
        ("- 1", "expected a mapping of fields"),
        ("keys: [", "is not YAML"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(YamlFileError) as error:
        read(tmp_path, text)
    assert told in str(error.value)
    assert "access.yaml" in str(error.value)


def test_a_field_may_be_empty_yet(tmp_path: Path) -> None:
    of = read(tmp_path, "keys:\npeople:\nrules:\nsources:\n")
    assert (of.keys, of.people, of.rules, of.sources) == ((), {}, (), {})


def test_names_of_keys_differ(tmp_path: Path) -> None:
    one, two = hash_of("one"), hash_of("two")
    with pytest.raises(YamlFileError, match="expected names that differ"):
        read(tmp_path, f"keys: [{{name: a, sha256: '{one}'}}, {{name: a, sha256: '{two}'}}]")


def test_the_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    access = AccessFile(tmp_path)
    assert access.rules() is None
    path = tmp_path / "access.yaml"
    path.write_text("sources: {docs: everyone}")
    first = access.rules()
    assert first is not None
    assert first is access.rules()
    assert first.view().sees("docs:a")
    path.write_text("sources: {docs: [hr]}")
    second = access.rules()
    assert second is not None
    assert not second.view().sees("docs:a")


def test_a_file_that_is_wrong_or_gone_opens_nothing(tmp_path: Path) -> None:
    access = AccessFile(tmp_path)
    path = tmp_path / "access.yaml"
    path.write_text("sources: {docs: everyone}")
    assert access.rules() is not None
    path.write_text("sources: {docs: everyone")
    for _ in range(2):
        with pytest.raises(YamlFileError):
            access.rules()
    path.unlink()
    for _ in range(2):
        with pytest.raises(AccessError, match="was there and is gone"):
            access.rules()
    path.write_text("sources: {docs: everyone}")
    assert access.rules() is not None
