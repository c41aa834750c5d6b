// Splits a line into words as a POSIX shell does, with quotes and backslashes; nothing is expanded and nothing is run.

export interface Words {
  words: string[];
  /** What is wrong with the line, when something is. */
  problem: string;
}

/** Splits a line. */
export function split(line: string): Words {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < line.length; at++) {
    const sign = line[at] ?? '';
    if (quote === "'") {
      if (sign === quote) quote = '';
      else word += sign;
    } else if (sign === '\\') {
      const next = line[++at];
      if (next === undefined) return { words, problem: 'The backslash at the end stands for nothing.' };
      // Between double quotes a backslash is itself, but before what it can take the meaning of.
      word = (word ?? '') + (quote && !'"\\$`'.includes(next) ? `\\${next}` : next);
    } else if (quote) {
      if (sign === quote) quote = '';
      else word += sign;
    } else if (sign === "'" || sign === '"') {
      quote = sign;
      word ??= '';
    } else if (/\s/.test(sign)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? '') + sign;
  }
  if (word !== undefined) words.push(word);
  return { words, problem: quote ? `The quote ${quote} is not closed.` : '' };
}
