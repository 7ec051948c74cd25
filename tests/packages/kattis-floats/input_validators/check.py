import sys

words = sys.stdin.read().split()
sys.exit(42 if len(words) == 1 and words[0].isdigit() else 43)
