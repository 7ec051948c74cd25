"""Live events (``text/event-stream``)."""
