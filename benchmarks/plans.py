"""Which index each statement uses, by the database's own plan."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.apps import apps
from django.db import connection

from benchmarks.harness import Measured, Table

SMALL = 5000  # rows of a table that may be read whole
_ALIAS = re.compile(r'"(\w+)" (?:AS )?"?([A-Z]+\d+)"?(?=[ ,)]|$)')
_SQLITE = re.compile(r"(SCAN|SEARCH) (\S+)(?: USING (?:COVERING )?(?:INDEX (\S+)|(INTEGER PRIMARY KEY)))?")
_ALL = "READ WHOLE"


def row_counts() -> dict[str, int]:
    """By table of the package, how many rows it has."""
    models = apps.get_app_config("ltiaas_django").get_models()
    return {model._meta.db_table: model._default_manager.count() for model in models}


Statement = tuple[str, Any]
"""SQL and its parameters, which matter: an index that serves a literal may not serve a parameter."""


def of(statements: list[Statement]) -> list[tuple[str, str]]:
    """For each table that the statements touch: the index, "primary key", or that it is read whole; sorted."""
    found: set[tuple[str, str]] = set()
    with connection.cursor() as cursor:
        for statement, params in statements:
            if statement.split(" ", 1)[0] not in ("SELECT", "UPDATE", "DELETE"):
                continue
            if connection.vendor == "postgresql":
                cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", params)
                answer = cursor.fetchone()[0]
                plan = json.loads(answer) if isinstance(answer, str) else answer
                found.update(_of_postgres(plan[0]["Plan"]))
            else:
                cursor.execute(f"EXPLAIN QUERY PLAN {statement}", params)
                found.update(_of_sqlite(statement, [row[3] for row in cursor.fetchall()]))
    return sorted(found)


def _of_postgres(node: Mapping[str, Any], table: str = "") -> Iterator[tuple[str, str]]:
    table = node.get("Relation Name", table)
    if node["Node Type"] == "Seq Scan":
        yield table, _ALL
    elif index := node.get("Index Name"):
        yield table, index if "Index Cond" in node else f"{index}, whole"
    for inner in node.get("Plans", ()):
        yield from _of_postgres(inner, table)


def _of_sqlite(statement: str, details: list[str]) -> Iterator[tuple[str, str]]:
    for detail in details:
        if match := _SQLITE.match(detail):
            how, name, index, primary = match.groups()
            # Django gives the same alias to tables of different subqueries; an index knows its table for sure.
            owners = _table_of(index) if index else " or ".join(dict.fromkeys(_owners(statement, name)))
            used = index or ("primary key" if primary else _ALL)
            if owners:  # else a subquery's own result
                yield owners, f"{used}, whole" if how == "SCAN" and index else used


def _owners(statement: str, name: str) -> list[str]:
    if name in connection.introspection.table_names():
        return [name]
    return [table for table, alias in _ALIAS.findall(statement) if alias == name]


def _table_of(index: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tbl_name FROM sqlite_master WHERE name = %s", [index])
        row = cursor.fetchone()
    return str(row[0]) if row else ""


def table(runs: Mapping[str, Measured]) -> Table:
    """By step and table, what each database uses."""
    partial = {
        index.name
        for model in apps.get_app_config("ltiaas_django").get_models()
        for index in model._meta.indexes
        if index.condition is not None
    }
    cells: dict[tuple[str, str], dict[str, list[str]]] = {}
    for database, run in runs.items():
        for step, found in run["plans"].items():
            for name, used in found:
                index = used.removesuffix(", whole")
                rows = max(run["rows"].get(table, 0) for table in name.split(" or "))
                if used == _ALL or (index != used and index not in partial):
                    index = f"{_ALL} ({rows:,} rows)"
                if rows > SMALL and not index.endswith((" key", "_pkey")):
                    cells.setdefault((step, name), {}).setdefault(database, []).append(index)
    lines = [
        [step, name.replace("ltiaas_django_", ""), *(", ".join(used.get(database, [])) for database in runs)]
        for (step, name), used in sorted(cells.items())
    ]
    return Table(
        "Indexes that a night with nothing due uses",
        ["step", "table", *runs],
        lines,
        [
            "By EXPLAIN (PostgreSQL) and EXPLAIN QUERY PLAN (SQLite), on the largest, without look-ups by primary key "
            f"and tables of at most {SMALL:,} rows. A partial index holds only what is open, and may be read whole."
        ],
    )
