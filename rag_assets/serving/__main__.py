"""``python -m rag_assets.serving``: the answerer until SIGTERM; exit code 1 says why in the log."""

import argparse
import logging
import sys

from rag_assets.serving.process import serve
from rag_assets.settings import load_settings


def main() -> int:
    """Parse the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m rag_assets.serving", description=__doc__)
    parser.add_argument(
        "--with-parent", action="store_true", help="stop when the parent process is gone"
    )
    parser.add_argument(
        "--behind-door", action="store_true", help="the door has the port; take any free one"
    )
    arguments = parser.parse_args()
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return serve(
        load_settings(), with_parent=arguments.with_parent, behind_door=arguments.behind_door
    )


if __name__ == "__main__":
    sys.exit(main())
