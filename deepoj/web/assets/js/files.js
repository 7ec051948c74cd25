// Returns the text of a file; null if it is larger than maxBytes, has a NUL, or is not UTF-8.
export async function textOf(file, maxBytes) {
  if (file.size > maxBytes) return null;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    return text.includes("\0") ? null : text;
  } catch {
    return null; // not UTF-8, or a folder
  }
}
