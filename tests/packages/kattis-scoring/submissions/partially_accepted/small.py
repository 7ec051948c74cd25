# @EXPECTED_SCORE@: 40
a, b = map(int, input().split())
print(min(a + b, 2**31 - 1))
