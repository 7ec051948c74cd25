import sys

sys.stdout.write(f"hello {sum(map(int, sys.stdin.read().split()))}\n")
