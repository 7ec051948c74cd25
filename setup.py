"""Builds the sandbox: the extension ``deepoj._sandbox`` and the launcher executable ``deepoj/_launcher``."""

from setuptools import setup

setup()
