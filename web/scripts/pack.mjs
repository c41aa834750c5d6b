// Puts what Vite built where the program takes it from, each file beside its compressed form, and holds it to its bound.
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';

/** Bytes of all files together, as they are sent. */
const SENT_MAX = 300_000;

const web = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const [built, dist] = [path.join(web, 'build'), path.join(web, '..', 'crates', 'web', 'dist')];

async function files(folder) {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries.filter((e) => e.isFile()).map((e) => path.relative(folder, path.join(e.parentPath ?? e.path, e.name)));
}

await mkdir(dist, { recursive: true });
for (const name of await readdir(dist)) {
  if (name !== '.gitignore') await rm(path.join(dist, name), { recursive: true });
}
let sent = 0;
for (const name of (await files(built)).sort()) {
  const bytes = await readFile(path.join(built, name));
  const small = brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });
  await mkdir(path.dirname(path.join(dist, name)), { recursive: true });
  await cp(path.join(built, name), path.join(dist, name));
  await writeFile(path.join(dist, `${name}.br`), small);
  console.log(`${String(bytes.length).padStart(8)} ${String(small.length).padStart(7)} ${name}`);
  sent += small.length;
}
console.log(`${sent} of ${SENT_MAX} bytes are sent`);
const page = await readFile(path.join(dist, 'index.html'), 'utf8');
const inline = page.match(/<script(?![^>]*\bsrc=)[^>]*>|<style|\son\w+=|javascript:|https?:\/\//i);
if (inline) throw new Error(`index.html has "${inline[0]}", which the policy forbids`);
if (sent > SENT_MAX) throw new Error(`the page is ${sent - SENT_MAX} bytes too large`);
