// Measures the page on a farm of its own with many jobs and a job of many frames; prints a table for docs/performance.md.
// usage: node test/measure.mjs FOLDER-OF-THE-PROGRAMS [--jobs N] [--frames N]
import path from 'node:path';
import { chromium } from 'playwright-core';
import { Farm, until } from './farm.mjs';

const [programs, ...options] = process.argv.slice(2);
if (!programs) throw new Error('usage: node test/measure.mjs FOLDER-OF-THE-PROGRAMS [--jobs N] [--frames N]');
const option = (name, usual) => Number(options[options.indexOf(name) + 1] ?? usual) || usual;
const [JOBS, FRAMES] = [option('--jobs', 10_000), option('--frames', 1_000_000)];
/** Requests under way at a time, and views that are opened to take the middle one. */
const AT_ONCE = 32;
const TIMES = 5;
/** How long a table or a grid is scrolled, in frames of the screen. */
const PAINTS = 120;

const middle = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
const ms = (n) => `${n.toFixed(n < 10 ? 1 : 0)} ms`;

/** Submits in the page's session: over one connection, as fast as it goes. */
const submitMany = ([count, atOnce]) =>
  new Promise((done, failed) => {
    let [sent, answered] = [0, 0];
    const next = () => {
      if (sent >= count) return;
      const body = JSON.stringify({ command: ['true'], range: '1-40', status: 'blocked', name: `shot_${sent++}` });
      fetch('/api/v1/jobs', { method: 'POST', headers: { 'X-Tessera-Web': '1' }, body }).then((answer) => {
        if (!answer.ok) return failed(new Error(`answered with ${answer.status}`));
        if (++answered === count) done();
        else next();
      }, failed);
    };
    for (let n = 0; n < atOnce; n++) next();
  });

/** Scrolls something down and up; answers the time of the slowest and the middle repaint. */
const scroll = ([selector, paints, step]) =>
  new Promise((done) => {
    const box = document.querySelector(selector);
    const times = [];
    let last = performance.now();
    const turn = () => {
      const now = performance.now();
      times.push(now - last);
      last = now;
      box.scrollTop = (times.length * step) % Math.max(1, box.scrollHeight - box.clientHeight);
      if (times.length < paints) requestAnimationFrame(turn);
      else done(times.slice(5));
    };
    requestAnimationFrame(turn);
  });

const farm = new Farm(path.resolve(programs));
let browser;
try {
  await farm.start();
  browser = await chromium.launch({ args: process.getuid() === 0 ? ['--no-sandbox'] : [], executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium' });
  const page = await (await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1320, height: 840 } })).newPage();
  await page.goto(JSON.parse(await farm.tessera('--json', 'open')).url);
  await page.getByRole('navigation', { name: 'Views' }).waitFor();
  await page.evaluate(submitMany, [JOBS, AT_ONCE]);
  const large = JSON.parse(await farm.tessera('--json', 'submit', '--status', 'blocked', '--range', `1-${FRAMES}`, '--', 'true')).job;
  const rows = [];

  const all = `${(JOBS + 1).toLocaleString('en-US')} jobs`;
  const [first, whole] = [[], []];
  for (let n = 0; n < TIMES; n++) {
    const began = Date.now();
    await page.goto(`https://${farm.address}/jobs`);
    await page.getByRole('link', { name: String(large), exact: true }).waitFor();
    first.push(Date.now() - began);
    await page.getByText(all).waitFor();
    whole.push(Date.now() - began);
  }
  rows.push([`the list of ${JOBS.toLocaleString('en-US')} jobs: first rows`, ms(middle(first))], ['… all of them', ms(middle(whole))]);

  const paints = await page.evaluate(scroll, ['.table .rows', PAINTS, 3_400]);
  rows.push(['scrolling it by 100 rows each repaint: middle, slowest', `${ms(middle(paints))}, ${ms(Math.max(...paints))}`]);

  const opened = [];
  for (let n = 0; n < TIMES; n++) {
    const began = Date.now();
    await page.goto(`https://${farm.address}/jobs/${large}`);
    await page.waitForFunction(() => document.querySelector('.grid .space')?.clientHeight > 400);
    opened.push(Date.now() - began);
  }
  rows.push([`a job of ${FRAMES.toLocaleString('en-US')} frames, until its grid is there`, ms(middle(opened))]);
  const repaints = await page.evaluate(scroll, ['.grid', PAINTS, 340]);
  rows.push(['scrolling its grid: middle, slowest repaint', `${ms(middle(repaints))}, ${ms(Math.max(...repaints))}`]);

  // From the write of a line to its being in the page: the job prints the time, the page notes when it saw it.
  const job = JSON.parse(await farm.tessera('--json', 'submit', '--range', '1', '--', 'sh', '-c', 'for n in 1 2 3 4 5 6 7 8 9 10 11 12; do date +at=%s%3N; sleep 0.4; done')).job;
  await page.goto(`https://${farm.address}/jobs/${job}/items/0`);
  await page.locator('.line').first().waitFor();
  const late = await page.evaluate(
    () =>
      new Promise((done) => {
        const seen = new Map();
        const look = () => {
          for (const line of document.querySelectorAll('.line .text')) {
            const at = /at=(\d+)/.exec(line.textContent)?.[1];
            if (at && !seen.has(at)) seen.set(at, Date.now() - Number(at));
          }
          if (seen.size < 12) requestAnimationFrame(look);
          else done([...seen.values()].slice(-6));
        };
        look();
      }),
  );
  rows.push(['a line of a log, from its write to the page: middle, slowest', `${ms(middle(late))}, ${ms(Math.max(...late))}`]);
  await until(() => true, 'done');
  for (const [what, figure] of rows) console.log(`| ${what} | ${figure} |`);
} finally {
  await browser?.close();
  await farm.stop();
}
