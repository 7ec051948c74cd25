# @EXPECTED_RESULTS@: WRONG-ANSWER, RUN-ERROR
x = int(input())
if x == 2:
    raise SystemExit(1)
print(x)
