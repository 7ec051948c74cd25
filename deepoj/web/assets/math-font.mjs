// A plugin of esbuild: of the font that css/math.css names, only the characters of its `unicode-range` get into the
// bundle.
//
// HarfBuzz keeps the table MATH and the larger forms and parts that it names for braces, roots and sums. Hints are left
// out: they are a quarter of the file, and formulas are read without them on all but old screens.
import { readFileSync } from "node:fs";
import subset from "subset-font";

export const mathFont = {
  name: "math-font",
  setup(build) {
    build.onLoad({ filter: /-math-latin-.*\.woff2$/ }, async ({ path }) => {
      const options = { targetFormat: "woff2", noHinting: true, dropTables: ["GDEF", "GPOS", "GSUB", "gasp"] };
      const contents = await subset(readFileSync(path), characters(readFileSync("css/math.css", "utf8")), options);
      return { contents, loader: "file" };
    });
  },
};

function characters(css) {
  const [, ranges] = /unicode-range:([^;]*);/.exec(css);
  const points = [...ranges.matchAll(/U\+([0-9A-F]+)(?:-([0-9A-F]+))?/g)].flatMap(([, first, last]) => {
    const [from, to] = [first, last ?? first].map((digits) => parseInt(digits, 16));
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
  return String.fromCodePoint(...points);
}
