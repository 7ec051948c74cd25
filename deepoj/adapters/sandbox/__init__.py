"""The sandbox on Linux, over the launcher (``sandbox_ext``)."""
