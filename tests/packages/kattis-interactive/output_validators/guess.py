import sys

with open(sys.argv[1]) as file:
    secret = int(file.read())
for turn in range(int(sys.argv[4])):
    line = sys.stdin.readline()
    try:
        guess = int(line)
    except ValueError:
        sys.exit(43)
    if guess == secret:
        print("correct", flush=True)
        sys.exit(42)
    print("lower" if guess > secret else "higher", flush=True)
sys.exit(43)
