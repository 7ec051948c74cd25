word, text = input().split()
print("x" + text if word == "encode" else text[1:])
