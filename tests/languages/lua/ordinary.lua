-- What ordinary Lua programs do: one line a thing, "done" at the end.
print("input " .. io.read("l"))
local total = 0
for i = 0, 999999 do total = (total * 31 + i) % 1000003 end
print("hot " .. total)
local numbers = {}
for i = 0, 199999 do numbers[#numbers + 1] = i * 7919 % 1000003 end
table.sort(numbers)
print("text " .. ("bb22"):gsub("(%a+)(%d+)", "%2%1") .. " " .. numbers[1])
local function depth(n) return n == 0 and 0 or 1 + depth(n - 1) end
print("caught " .. tostring(pcall(error, "dead")) .. " " .. tostring(pcall(depth, 1 << 40)) .. " " .. depth(10000))
local counter = coroutine.wrap(function() for n = 1, 3 do coroutine.yield(n) end end)
print("coroutine " .. counter() .. counter())
for _ = 1, 2000 do local _ = ("x"):rep(100000) end
collectgarbage()
local file = assert(io.open("note.txt", "w"))
file:write("kept"); file:close()
print("file " .. io.open("note.txt"):read("a") .. " " .. #os.tmpname() // 100)
print("child " .. io.popen("echo heard"):read("l") .. " " .. tostring(os.execute("exit 0")))
print("clock " .. tostring(os.clock() > 0) .. " " .. tostring(os.time() > 0))
print(("x"):rep(200000))
print("done")
