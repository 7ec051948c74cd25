"""accepted 1 2: the sum; and what else can become of a program."""

mode, a, b = input().split()
if mode == "crash":
    raise ValueError(mode)
while mode == "loop":
    pass
kept = []
while mode == "memory":
    kept.append(bytearray(b"x") * (1 << 20))
print(int(a) + int(b) + (mode == "wrong"))
