"""What the stages cost and how well they do it, beside the libraries they use.

``python -m rag_assets_tests.benchmarks NAME``, called ``bench NAME`` in these modules.
"""
