import sys

answer = int(open(sys.argv[2]).read())
words = sys.stdin.read().split()
share = 0.0
if len(words) == 1 and words[0].isdigit():
    share = max(0.0, 1 - abs(int(words[0]) - answer) / answer)
with open(sys.argv[3] + "score.txt", "w") as out:
    print(f"{100 * share:.2f}", file=out)
with open(sys.argv[3] + "judgemessage.txt", "w") as out:
    print(f"{words[:2]} for {answer}", file=out)
sys.exit(42 if share else 43)
