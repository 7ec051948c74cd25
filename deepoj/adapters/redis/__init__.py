"""Redis: the stream, the counters, and a look at a deployment."""
