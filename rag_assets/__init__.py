"""Document question answering as a Dagster dataflow."""

from rag_assets.quick_imports import leave_out_rest_client

leave_out_rest_client()  # here, because it has to come before any module that imports lancedb
