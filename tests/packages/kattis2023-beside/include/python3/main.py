import sys

from total import total

n = int(input())
price = int(open("price.txt").read())
print(total(n, price) + (n if sys.argv[1:] else 0), open("unit.txt").read().strip())
