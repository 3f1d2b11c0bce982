"""Delete what Dagster keeps of runs: events with texts of documents, logs, ticks.

Which run quotes a document cannot be told: the metadata of assets names files and repeats texts,
``ask_job`` keeps answers, logs hold whatever was said. So all runs that have ended are deleted. The
files of the storage are written anew, as a deleted row stays in them until then.
"""

import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import dagster as dg

from rag_assets.lake.delta import LakeStage
from rag_assets.lake.store import LakeStore
from rag_assets.settings import Settings

BUSY_S = 60.0
INDEX = "index"  # SQLite: a file for each run, and one for the events of all assets
NO_RUN = ""  # id of events that belong to no run, such as those that a person reports in the UI


def ended_and_others(instance: dg.DagsterInstance) -> tuple[list[str], list[dg.DagsterRun]]:
    """Ids of the runs that have ended, and the other runs."""
    runs = [record.dagster_run for record in instance.get_run_records()]
    ended = [run.run_id for run in runs if run.is_finished]
    return ended, [run for run in runs if not run.is_finished]


def delete_history(instance: dg.DagsterInstance, settings: Settings) -> list[str]:
    """Delete all runs that have ended, what assets recorded, ticks and logs.

    Returns:
        A sentence for each thing that had to stay.
    """
    ended, others = ended_and_others(instance)
    instance.delete_run(NO_RUN)
    for run_id in ended:
        instance.delete_run(run_id)
        instance.compute_log_manager.delete_logs(prefix=[run_id])
    instance.wipe_assets(instance.get_asset_keys())
    for state in instance.all_instigator_state():
        origin, selector = state.instigator_origin_id, state.selector_id
        for tick in instance.get_ticks(origin, selector):
            if tick.log_key:
                instance.compute_log_manager.delete_logs(log_key=tick.log_key)
        instance.purge_ticks(origin, selector, time.time())
    left = [
        f"run {run.run_id} of {run.job_name} is at work, and its events and logs stay; end it "
        "(`rag down` ends what `rag up` started), then run the same purge again"
        for run in others
    ]
    if settings.postgres_url is not None:
        _rewrite_postgres(settings.postgres_url)
    else:
        left += _rewrite_sqlite(settings.dagster_home, {run.run_id for run in others})
    return left


def say_what_stands(
    instance: dg.DagsterInstance, store: LakeStore, stages: Iterable[LakeStage]
) -> None:
    """Tell Dagster which partitions the lake holds, and how many rows; it shows them as made."""
    for stage in stages:
        if stage.scope == "corpus":
            instance.report_runless_asset_event(dg.AssetMaterialization(stage.name))
        for name in [table.name for table in stage.tables if stage.scope == "partition"]:
            for partition in store.partitions(name):
                table = store.table(name, partition)
                n_rows = 0 if table is None else int(table.count_rows())
                instance.report_runless_asset_event(
                    dg.AssetMaterialization(
                        name, partition=partition, metadata={"dagster/row_count": n_rows}
                    )
                )


def _rewrite_sqlite(home: Path, at_work: set[str]) -> list[str]:
    """Write the files anew, without what was deleted in them; those of deleted runs go."""
    left = []
    for path in sorted(home.rglob("*.db")):
        is_of_run = path.parent.name == "runs" and path.name not in (f"{INDEX}.db", f"{NO_RUN}.db")
        if is_of_run and path.stem not in at_work:
            for part in (path, *path.parent.glob(f"{path.name}-*")):
                part.unlink(missing_ok=True)
            continue
        with closing(sqlite3.connect(path, timeout=BUSY_S)) as database:
            database.execute("VACUUM")
            (is_busy, *_) = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if is_busy:
            left.append(f"{path} is read by another process; run the same purge again")
    return left


def _rewrite_postgres(url: str) -> None:
    """Write the tables of the database anew, without what was deleted in them."""
    import psycopg2  # comes with dagster-postgres

    with closing(psycopg2.connect(url)) as connection, closing(connection.cursor()) as cursor:
        connection.autocommit = True
        cursor.execute(
            "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = current_schema()"
        )
        tables: Sequence[tuple[str]] = cursor.fetchall()
        for (name,) in tables:
            cursor.execute(f"VACUUM FULL {name}")
