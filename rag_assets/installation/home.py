"""A home: the folder with ``sources.yaml``, Dagster's files, settings, and later the state."""

from pathlib import Path

from rag_assets.settings import SettingsError

TEMPLATES = Path(__file__).with_name("home")
FILES = ("sources.yaml", "dagster.yaml", "workspace.yaml", ".env")


def make_home(folder: Path) -> list[str]:
    """Write what a home lacks, never over what is there; returns the names of files written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [
            name for name in FILES if _write_new(folder / name, (TEMPLATES / name).read_bytes())
        ]
    except OSError as error:
        raise SettingsError(
            f"expected a folder that can be written, or none yet, at {folder}; got: "
            f"{error.strerror} ({error.filename}); name another one"
        ) from error


def _write_new(path: Path, data: bytes) -> bool:
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        return False
    return True


def file_of(home: Path, name: str) -> Path:
    """A file of the home, or the package's where the home has none."""
    return home / name if (home / name).is_file() else TEMPLATES / name


def set_in_home(home: Path, name: str, value: str) -> bool:
    """Add a setting to the home's ``.env`` unless it holds one of that name; returns whether."""
    path = home / ".env"
    text = path.read_text("utf-8") if path.is_file() else ""
    if any(line.startswith(f"{name}=") for line in text.splitlines()):
        return False
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{'' if text.endswith(chr(10)) or not text else chr(10)}{name}={value}\n")
    return True
