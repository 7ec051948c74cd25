import sys

sys.exit(42 if 1 <= int(sys.stdin.read()) <= {{most}} else 43)
