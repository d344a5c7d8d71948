"""drop_database.py SERVER_URL NAME: remove what a suite that was ended early left behind."""

from __future__ import annotations

import sys

import psycopg
from psycopg import sql

server, name = sys.argv[1:]
try:
    with psycopg.connect(f"{server}/postgres", autocommit=True, connect_timeout=5) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
except psycopg.OperationalError as error:
    sys.exit(f"{name} was not dropped: {error}")
