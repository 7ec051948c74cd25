// "accepted 1 2": the sum; and what else can become of a program.
const [mode, a, b] = require("fs").readFileSync(0, "utf8").trim().split(" ");
if (mode === "crash") throw new Error(mode);
while (mode === "loop");
const kept = [];
while (mode === "memory") kept.push(new Array(1 << 16).fill(kept.length + 0.5));
console.log(Number(a) + Number(b) + (mode === "wrong"));
