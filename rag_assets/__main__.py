"""``python -m rag_assets`` is ``rag``."""

from rag_assets.cli import main

main()
