# @EXPECTED_SCORE@: 74.42
a, b = map(int, input().split())
print((a + b) * 7442 // 10000)
