"""Lakes as earlier versions left them, each in ``data/lakes/format-<n>.tar.gz``.

``python -m rag_assets_tests.earlier_lake`` writes that of this version's format. Do so when
``FORMAT`` of ``lake/store.py`` was raised, and leave those of earlier formats as they are.
"""

import tarfile
import tempfile
from pathlib import Path

from rag_assets import Pipeline, Refreshed, Source
from rag_assets.lake.store import FORMAT
from rag_assets_tests.answers.fakes import WordEmbedder
from rag_assets_tests.fakes import FakeChat
from rag_assets_tests.world import say_labels

LAKES = Path(__file__).parent / "data" / "lakes"
TERN = "# MV Tern\n\nMV Tern was built in 2003 by Solvik Marine. She sails on Route 5.\n"


def refreshed(folder: Path) -> Refreshed:
    """Bring the lake in ``<folder>/lake`` up to date with ``<folder>/fleet``."""
    source = Source("fleet", "folder", str(folder / "fleet"), enrich="none")
    models = {"embedder": WordEmbedder(), "slm": FakeChat([say_labels])}
    return Pipeline([source], folder / "lake", **models).refresh()  # type: ignore[arg-type] # fakes


def unpacked(number: int, folder: Path) -> None:
    """The lake of a format, and the folder that it was made of."""
    with tarfile.open(LAKES / f"format-{number}.tar.gz") as packed:
        packed.extractall(folder, filter="data")


def main() -> None:
    """Write the lake of this version's format."""
    with tempfile.TemporaryDirectory(prefix="rag_assets_lake_") as name:
        folder = Path(name)
        (folder / "fleet").mkdir()
        (folder / "fleet" / "tern.md").write_text(TERN)
        refreshed(folder)
        LAKES.mkdir(exist_ok=True)
        with tarfile.open(LAKES / f"format-{FORMAT}.tar.gz", "w:gz") as packed:
            for part in ("fleet", "lake"):
                packed.add(folder / part, part, filter=_nobody)


def _nobody(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Without who made it on this machine, and without locks."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return None if "/locks" in member.name else member


if __name__ == "__main__":
    main()
