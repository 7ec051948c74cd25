# @EXPECTED_RESULTS@: PARTIAL
# @EXPECTED_SCORE@: 65
a, b = map(int, input().split())
print(min(a + b, 3000000000))
