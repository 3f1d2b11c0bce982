"""Dagster's UI behind its guard: ``python -m rag_assets.orchestration.webserver -w WORKSPACE``.

It serves what the command ``dagster-webserver`` does, on the instance of ``DAGSTER_HOME``, without
telemetry, on the loopback interface alone, at RAG_UI_PORT.
"""

import argparse
from asyncio import CancelledError
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import dagster as dg
import uvicorn
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.version import __version__
from starlette.types import ASGIApp

from rag_assets.orchestration.dagster_private import WorkspaceFileTarget, WorkspaceProcessContext
from rag_assets.orchestration.guard import Guard
from rag_assets.serving.listening import HTTP
from rag_assets.settings import LOOPBACK, Settings, load_settings

POLL_MS = 2000  # between the page's looks at assets
# As dagster-webserver has it where it is told nothing.
STATEMENT_MS, RECYCLE_S, OVERFLOW = 15_000, 3600, 20


@contextmanager
def guarded_ui(workspace: Path, settings: Settings) -> Iterator[ASGIApp]:
    """Dagster's web application behind the guard, on the instance of ``DAGSTER_HOME``."""
    with dg.DagsterInstance.get() as instance:
        instance.optimize_for_webserver(STATEMENT_MS, RECYCLE_S, OVERFLOW)
        target = WorkspaceFileTarget([str(workspace)])
        with WorkspaceProcessContext(instance, target, version=__version__) as context:
            app = create_app_from_workspace_process_context(
                context, live_data_poll_rate=POLL_MS, lifespan=_until_stopped
            )
            yield Guard(app, settings.ui_hosts, settings.ui_token)


@asynccontextmanager
async def _until_stopped(_: object) -> AsyncIterator[None]:
    with suppress(CancelledError):  # as uvicorn ends it
        yield


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(prog="python -m rag_assets.orchestration.webserver")
    parser.add_argument("-w", "--workspace", type=Path, default=Path("workspace.yaml"))
    given = parser.parse_args()
    settings = load_settings()
    with guarded_ui(given.workspace, settings) as app:
        # From this machine it believes X-Forwarded-Proto, by which the guard knows of TLS.
        uvicorn.run(app, host=LOOPBACK, port=settings.ui_port, http=HTTP, log_level="warning")


if __name__ == "__main__":
    main()
