"""``rag keys`` and the key of ``rag ask``."""

import json
from pathlib import Path

import pytest

from rag_assets.access.rules import hash_of, read_rules
from rag_assets_tests.cli.test_main import home, rag

__all__ = ["home"]


def test_a_key_is_made_listed_and_revoked(home: Path) -> None:
    made = rag(home, "keys", "add", "ada", "--group", "hr", "--expires", "2020-01-01")
    assert made.returncode == 0, made.stderr
    assert "from now on a request needs a key" in made.stdout + made.stderr
    secret = made.stdout.split()[-1]
    rules = read_rules(home / "access.yaml")
    assert [key.sha256 for key in rules.keys] == [hash_of(secret)]
    assert rules.view().sees("docs:a.txt")
    (row,) = json.loads(rag(home, "keys", "list", "--json").stdout)
    assert (row["name"], row["groups"], row["has_expired"]) == ("ada", ["hr"], True)
    assert secret not in json.dumps(row)
    assert "expired" in rag(home, "keys", "list").stdout
    again = rag(home, "keys", "add", "ada")
    assert (again.returncode, "expected a new name" in again.stderr) == (2, True)
    assert rag(home, "keys", "revoke", "ada").returncode == 0
    assert json.loads(rag(home, "keys", "list", "--json").stdout) == []
    gone = rag(home, "keys", "revoke", "ada")
    assert (gone.returncode, "expected the name of a key" in gone.stderr) == (2, True)


def test_doctor_tells_what_the_file_leaves_closed(home: Path) -> None:
    def told() -> str:
        return " ".join(rag(home, "doctor").stdout.split())

    assert "access" not in told()
    (home / "access.yaml").write_text("sources: {dosc: everyone}")
    assert "source docs is not listed, so operators alone may read it" in told()
    assert "source dosc is declared nowhere" in told()
    (home / "access.yaml").write_text("sources: {docs: hr}")
    assert "expected everyone, or a list of groups, got 'hr'" in told()


@pytest.mark.parametrize("command", [["add", "a b"], ["add", "ada", "--group", "everyone"]])
def test_what_is_no_name_is_refused(home: Path, command: list[str]) -> None:
    refused = rag(home, "keys", *command)
    assert refused.returncode != 0
    assert "expected" in refused.stderr
    assert not (home / "access.yaml").exists()
