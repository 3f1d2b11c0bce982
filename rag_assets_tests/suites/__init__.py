"""Evaluation suites on public data, which tell how good the product is on texts of others.

``python -m rag_assets_tests.suites NAME`` runs one; figures are in ``docs/figures.md``.
``rag evaluate`` asks a team's own questions.
"""
