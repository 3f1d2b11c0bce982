"""The product's definitions and a suite of public data as an asset each.

``dagster dev -m rag_assets_tests.suites.definitions`` shows them.
"""

import dagster as dg

from rag_assets.definitions import build_defs
from rag_assets_tests.suites.registry import SUITES


@dg.definitions
def defs() -> dg.Definitions:
    """The product, with public suites beside golden."""
    return build_defs(suites=SUITES)
