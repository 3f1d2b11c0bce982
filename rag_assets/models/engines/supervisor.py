"""A process that owns engines: starts them, restarts dead and hung ones, stops all on SIGTERM.

``python -m rag_assets.models.engines.supervisor --profile cpu --state-dir DIR [--roles slm]``.
Exit code 0 after a signal, 1 with one sentence on standard error when engines cannot be run.
"""

import argparse
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import cast

from rag_assets.models.engines.engine_set import EngineSet
from rag_assets.models.errors import ModelsError, ProfileError
from rag_assets.models.profile_files import DEFAULT_PORT_BASE, load_profile
from rag_assets.models.profiles import PREFER, ROLES, Role
from rag_assets.models.weights.pulling import as_pulled, cache_root
from rag_assets.settings import find_home

CHECK_EVERY_S = 0.5


def main(arguments: list[str]) -> int:
    """Run until a signal comes; returns the exit code."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    try:
        wanted = load_profile(
            options.profile,
            port_base=options.port_base,
            home=find_home(),
            prefer=options.prefer,
        )
        profile = as_pulled(wanted, options.cache_dir)
        roles = _roles(options.roles)
        with EngineSet(profile, options.cache_dir, options.state_dir, progress=_report) as engines:
            engines.keep(roles)
            while True:
                engines.check()
                time.sleep(CHECK_EVERY_S)
    except ModelsError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="rag_assets.models.engines.supervisor")
    parser.add_argument("--profile", default="cpu")
    parser.add_argument("--prefer", choices=PREFER, help="in place of the profile's own")
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--cache-dir", type=Path, default=cache_root())
    parser.add_argument("--roles", default=",".join(ROLES))
    parser.add_argument("--port-base", type=int, default=DEFAULT_PORT_BASE)
    return parser.parse_args(arguments)


def _roles(text: str) -> list[Role]:
    roles = text.split(",")
    unknown = [role for role in roles if role not in ROLES]
    if unknown:
        raise ProfileError(f"unknown role {', '.join(unknown)}; roles are {', '.join(ROLES)}")
    return cast("list[Role]", roles)


def _report(role: Role, phase: str, seconds: float) -> None:
    with suppress(OSError):  # a full disk must not end the engines
        sys.stdout.write(f"{role} {phase} {seconds:.1f}\n")
        sys.stdout.flush()


def _leave(*_: object) -> None:
    # a second signal must not interrupt the stopping itself
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise SystemExit(os.EX_OK)


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    sys.exit(main(sys.argv[1:]))
