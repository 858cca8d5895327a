/** Decodes the text that scripts/build-assembly.mjs makes of a module: most letters are a byte, the last two are read with the next one. */
export function fromText(text: string): Uint8Array<ArrayBuffer> {
  const letters = Array.from(text, (letter) => letter.charCodeAt(0) - 35);
  const bytes: number[] = [];
  for (let at = 0; at < letters.length; at++) {
    const letter = letters[at]!;
    bytes.push(0xfc + (letter < 90 ? letter : 90 + (letter - 90) * 83 + letters[++at]!));
  }
  // Numbers beyond 255 wrap around here.
  return Uint8Array.from(bytes);
}
