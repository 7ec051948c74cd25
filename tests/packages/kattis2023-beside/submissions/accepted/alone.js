const { readFileSync: read } = require("fs");
const n = Number(read(0)), price = Number(read("price.txt"));
console.log(n * price + (process.argv.length > 2 ? n : 0), String(read("unit.txt")).trim());
