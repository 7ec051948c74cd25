"""The script that submits to a running node (``test_e2e.py``). pytest finds no tests here."""
