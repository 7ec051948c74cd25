// What ordinary Node programs do: one line a thing, "done" at the end.
"use strict";
const childProcess = require("child_process");
const crypto = require("crypto");
const fs = require("fs");
const { Worker, isMainThread, parentPort, workerData } = require("worker_threads");

function hot(rounds) {
  let total = 0;
  for (let i = 0; i < rounds; i++) total = (total * 31 + i) % 1000003;
  return total;
}

function depth(n) {
  return n === 0 ? 0 : 1 + depth(n - 1);
}

async function main() {
  const input = fs.readFileSync(0, "utf8");
  console.log("input", input.trim());
  console.log("hot", hot(3000000));

  const workers = [1, 2].map(
    (n) => new Promise((resolve, reject) => new Worker(__filename, { workerData: n }).on("message", resolve).on("error", reject)),
  );
  console.log("threads", (await Promise.all(workers)).join(" "));

  let kept = [];
  for (let i = 0; i < 4000; i++) {
    kept.push(new Array(10000).fill(i));
    if (kept.length > 100) kept = [];
  }
  console.log("collected", new Set(Array.from({ length: 200000 }, (_, n) => n % 1000)).size);

  let caught = 0;
  for (let i = 0; i < 1000; i++) {
    try {
      if (i % 2) throw new Error("odd");
      null.property;
    } catch (error) {
      caught++;
    }
  }
  try {
    depth(1 << 30);
  } catch (error) {
    caught += error instanceof RangeError;
  }
  console.log("caught", caught, depth(5000));

  const numbers = Int32Array.from({ length: 1000000 }, (_, n) => (n * 7919) % 1000003).sort();
  console.log("sorted", numbers[0], (2n ** 1000n % 1000000007n).toString());
  console.log("text", "bb22".replace(/([a-z]+)(\d+)/, "$2$1"), "ü".normalize("NFD").length, new Intl.NumberFormat("en").format(1234567));
  await new Promise((resolve) => setTimeout(resolve, 5));
  await fs.promises.writeFile("note.txt", "kept");
  console.log("file", await fs.promises.readFile("note.txt", "utf8"), crypto.randomBytes(8).length);
  console.log("hash", crypto.createHash("sha256").update("a").digest("hex").slice(0, 8));
  console.log("child", childProcess.execSync("echo heard").toString().trim());
  const shared = new Int32Array(new SharedArrayBuffer(8));
  console.log("atomics", Atomics.add(shared, 0, 2), Atomics.wait(shared, 0, 2, 1));
  const wasm = Uint8Array.from([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 6, 1, 4, 0, 65, 42, 11]);
  console.log("wasm", (await WebAssembly.instantiate(wasm)).instance.exports.f());
  process.stdout.write("x".repeat(200000) + "\n", () => console.log("done"));
}

if (isMainThread) main();
else parentPort.postMessage(workerData * hot(100000));
