"""Telling a callback of a verdict: which URLs may be called, and the deliveries."""
