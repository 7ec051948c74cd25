"""Tests of the sandbox again, in a virtual machine with cgroup v2."""
