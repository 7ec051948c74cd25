import halving

print(halving.half(int(input())))
