# "accepted 1 2": the sum; and what else can become of a program.
mode, a, b = gets.split
raise mode if mode == "crash"
loop {} if mode == "loop"
kept = []
kept << "x" * (1 << 20) while mode == "memory"
puts a.to_i + b.to_i + (mode == "wrong" ? 1 : 0)
