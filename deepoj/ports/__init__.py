"""The ports: what the steps need from outside, as Protocols. The docstrings are the contracts.

One contract suite (``tests/contract``) runs against every implementation, fakes included. Every method may raise the
breakage named at its class and no foreign exception: adapters translate those.
"""
