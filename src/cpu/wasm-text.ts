/** The bytes that scripts/build-assembly.mjs made text of: a letter is a byte, or one of two that are read with the next. */
export function fromText(text: string): Uint8Array<ArrayBuffer> {
  const letters = Array.from(text, (letter) => letter.charCodeAt(0) - 35);
  const bytes: number[] = [];
  for (let at = 0; at < letters.length; at++) {
    const letter = letters[at]!;
    bytes.push(0xfc + (letter < 90 ? letter : 90 + (letter - 90) * 83 + letters[++at]!));
  }
  // Modulo 256.
  return Uint8Array.from(bytes);
}
