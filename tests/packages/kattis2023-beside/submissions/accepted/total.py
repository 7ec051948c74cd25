def total(n, price):
    return n * price
