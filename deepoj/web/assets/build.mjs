// Makes what browsers load out of js/ and css/: node build.mjs DIRECTORY
//
// Writes NAME.HASH.EXT, beside it .gz and .br where that is smaller, manifest.json, which the server reads
// (deepoj/web/assets.py), and packages.json, which packages went in (deploy/binary/sbom.py reads it).
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, extname, join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";
import { mathFont } from "./math-font.mjs";

const ENTRIES = { app: "js/app.js", editor: "js/editor.js", site: "css/main.css" };
// esbuild's own hash of a font or an image that a style sheet names
const HASHED = /^(.+)\.[A-Z0-9]{8}(\.\w+)$/;
// compressed already
const COMPRESSED = new Set([".woff2", ".png"]);

// loads one grammar of many, each in a file of its own
const MODULES = { source: "js/source.js" };

const target = process.argv[2];
const common = {
  outdir: ".",
  bundle: true,
  minify: true,
  charset: "utf8",
  target: ["chrome111", "firefox114", "safari16.4"],
  loader: { ".woff2": "file", ".svg": "file", ".png": "file" },
  assetNames: "[name].[hash]",
  publicPath: "/assets",
  plugins: [mathFont],
  legalComments: "none", // the licences are in notice.txt, whole
  metafile: true,
  write: false,
  logLevel: "warning",
};
const made = [
  await build({ ...common, entryPoints: ENTRIES, format: "iife" }),
  await build({ ...common, entryPoints: MODULES, format: "esm", splitting: true, chunkNames: "[name].[hash]" }),
];

const packages = packagesOf(made.flatMap(({ metafile }) => Object.keys(metafile.inputs)));
rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
const manifest = {};
const notice = add("notice.txt", Buffer.from(licences(packages)));
for (const output of made.flatMap(({ outputFiles }) => outputFiles)) {
  const name = basename(output.path);
  const hashed = HASHED.exec(name);
  if (hashed) {
    put(hashed[1] + hashed[2], name, Buffer.from(output.contents)); // a style sheet names it so
  } else if (extname(name) === ".js") {
    add(name, Buffer.concat([Buffer.from(`/* Licences: /assets/${notice} */\n`), output.contents]));
  } else {
    add(name, Buffer.from(output.contents));
  }
}
writeFileSync(join(target, "packages.json"), text(packages.map(({ licence_text: _, ...rest }) => rest)));
const sorted = Object.fromEntries(Object.entries(manifest).sort());
writeFileSync(join(target, "manifest.json"), text(sorted)); // last: who finds it finds the files

function add(name, data) {
  const hash = createHash("sha256").update(data).digest("hex").slice(0, 12);
  const extension = extname(name);
  return put(name, `${basename(name, extension)}.${hash}${extension}`, data);
}

function put(name, file, data) {
  const entry = { file, bytes: data.length };
  writeFileSync(join(target, file), data);
  if (!COMPRESSED.has(extname(file))) {
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: data.length };
    const compressed = { gz: gzipSync(data, { level: 9 }), br: brotliCompressSync(data, { params }) };
    for (const [ending, smaller] of Object.entries(compressed)) {
      if (smaller.length < data.length) writeFileSync(join(target, `${file}.${ending}`), smaller);
    }
    entry.gzip_bytes = compressed.gz.length;
    entry.br_bytes = compressed.br.length;
  }
  entry.integrity = `sha384-${createHash("sha384").update(data).digest("base64")}`;
  manifest[name] = entry;
  return file;
}

// The npm packages of which something is in the outputs, each with its licence.
function packagesOf(inputs) {
  const lock = JSON.parse(readFileSync("package-lock.json", "utf8")).packages;
  const places = inputs.map((path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]);
  return [...new Set(places.filter(Boolean))].sort().map((place) => {
    const { name, version, license: declared } = JSON.parse(readFileSync(join(place, "package.json"), "utf8"));
    const file = readdirSync(place).find((entry) => /^licen[cs]e/i.test(entry));
    const licence_text = file ? readFileSync(join(place, file), "utf8").trim() : "";
    const license = declared ?? (licence_text.startsWith("BSD Zero Clause License") ? "0BSD" : "");
    if (!license || !licence_text) throw new Error(`${place}: its licence is missing`);
    return { name, version, license, integrity: lock[place].integrity, licence_text };
  });
}

function licences(packages) {
  const parts = packages.map((each) => `${each.name} ${each.version}\n\n${each.licence_text}\n`);
  return `The scripts and styles of Deep-OJ contain these packages.\n\n${parts.join(`\n${"-".repeat(80)}\n\n`)}`;
}

function text(value) {
  return `${JSON.stringify(value, null, 2)}\n`;
}
