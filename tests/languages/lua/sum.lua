-- "accepted 1 2": the sum; and what else can become of a program.
local mode, a, b = io.read():match("(%a+) (%d+) (%d+)")
if mode == "crash" then error(mode) end
while mode == "loop" do end
local kept = {}
while mode == "memory" do kept[#kept + 1] = ("x"):rep(1 << 20) .. #kept end
print(math.tointeger(a) + math.tointeger(b) + (mode == "wrong" and 1 or 0))
