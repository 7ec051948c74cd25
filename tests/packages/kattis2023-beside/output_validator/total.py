import sys

# the answer, and the unit that the group of tests names
wanted = [open(sys.argv[2]).read().strip(), sys.argv[4]]
sys.exit(42 if sys.stdin.read().split() == wanted and sys.argv[4] == "{{currency}}" else 43)
