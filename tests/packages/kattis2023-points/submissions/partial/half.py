# @EXPECTED_RESULTS@: PARTIAL
# @EXPECTED_SCORE@: 75
a, b = map(int, input().split())
print(min(a + b, 3000000000))
