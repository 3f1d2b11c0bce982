"""Keys come and go; comments and rules stay where a person wrote them."""

from datetime import date
from pathlib import Path

import pytest

from rag_assets.access.editing import add_key, revoke_key
from rag_assets.access.rules import hash_of, read_rules
from rag_assets.errors import CommandError
from rag_assets.yaml_files import YamlFileError

WRITTEN = f"""# ours
sources:  # all of them
  docs: everyone
keys:
  # the first
  - name: ada  # her own
    sha256: "{hash_of("a")}"
    groups:
      - hr

  # the second
  - {{name: bob, sha256: "{hash_of("b")}"}}

# and the rules
rules: [{{uri: "docs:hr/**", groups: [hr]}}]
"""


def names(home: Path) -> list[str]:
    return [key.name for key in read_rules(home / "access.yaml").keys]


def test_a_new_file_opens_what_is_declared(tmp_path: Path) -> None:
    secret = add_key(tmp_path, "ada", ["hr", "it"], expires=date(2030, 1, 2), sources=["a", "b"])
    rules = read_rules(tmp_path / "access.yaml")
    (key,) = rules.keys
    assert (key.name, key.groups, key.expires) == ("ada", ("hr", "it"), date(2030, 1, 2))
    assert key.sha256 == hash_of(secret)
    assert secret not in (tmp_path / "access.yaml").read_text()
    assert rules.sources == {"a": None, "b": None}
    assert len(secret) >= 43


def test_what_a_person_wrote_stays(tmp_path: Path) -> None:
    path = tmp_path / "access.yaml"
    path.write_text(WRITTEN)
    add_key(tmp_path, "ida", [], operator=True)
    assert names(tmp_path) == ["ada", "bob", "ida"]
    added = [line for line in path.read_text().splitlines() if "ida" in line]
    assert [line for line in path.read_text().splitlines() if line not in added] == (
        WRITTEN.splitlines()
    )
    revoke_key(tmp_path, "ada")
    assert names(tmp_path) == ["bob", "ida"]
    assert "her own" not in path.read_text()
    assert "# the second" in path.read_text()
    revoke_key(tmp_path, "bob")
    revoke_key(tmp_path, "ida")
    assert names(tmp_path) == []
    assert "# and the rules" in path.read_text()
    add_key(tmp_path, "uma", ["hr"])
    assert names(tmp_path) == ["uma"]


@pytest.mark.parametrize("text", ["sources: {docs: everyone}", "keys: []\nrules: []\n", "keys:\n"])
def test_a_list_is_begun(tmp_path: Path, text: str) -> None:
    (tmp_path / "access.yaml").write_text(text)
    add_key(tmp_path, "ada", [])
    add_key(tmp_path, "bob", [])
    assert names(tmp_path) == ["ada", "bob"]


def test_what_cannot_be_done_is_told_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "access.yaml"
    with pytest.raises(CommandError, match="expected the name of a key"):
        revoke_key(tmp_path, "ada")
    path.write_text(WRITTEN)
    with pytest.raises(CommandError, match="expected a new name"):
        add_key(tmp_path, "ada", [])
    with pytest.raises(YamlFileError, match=r"access.yaml, line .*: expected a group's name"):
        add_key(tmp_path, "ida", ["a b"])
    assert path.read_text() == WRITTEN
    flow = f"keys: [{{name: ada, sha256: '{hash_of('a')}'}}]\n"
    path.write_text(flow)
    with pytest.raises(CommandError, match="expected keys as a list with a dash"):
        add_key(tmp_path, "ida", [])
    assert path.read_text() == flow
    assert [one.name for one in tmp_path.iterdir()] == ["access.yaml"]
