"""The embedded servers: PostgreSQL, Valkey and a directory of objects under DEEPOJ_HOME, as children of the node."""

from deepoj.adapters.embedded.home import EmbeddedHome, hold_home
from deepoj.adapters.embedded.postgres import run_postgres
from deepoj.adapters.embedded.valkey import run_valkey

__all__ = ["EmbeddedHome", "hold_home", "run_postgres", "run_valkey"]
