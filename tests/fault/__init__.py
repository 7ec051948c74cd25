"""Faults on real servers: killed processes, cut links, lost answers, cancelled calls."""
