"""Whole nodes, started as processes and used by HTTP and commands."""
