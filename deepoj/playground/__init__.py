"""Playground runs (``POST /api/v1/run``): taken, leased, executed once, and forgotten soon."""
