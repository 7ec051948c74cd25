"""Attempts: compiling, running tests in the sandbox, checking, interacting, and their caches. The judge step,
playground runs, reruns and canaries share them."""
