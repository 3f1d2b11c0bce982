"""``python -m rag_assets`` is ``rag``."""

from rag_assets.cli.main import main

main()
