// Measures how long a repaint takes while the list of jobs is scrolled, and what of it: the built page in Chromium, with jobs
// that are made up here, so that no farm is needed. Prints rows for docs/performance.md.
// usage: node test/scroll.mjs [--jobs N] [--paints N] [--profile FILE]
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { chromium } from 'playwright-core';

const options = process.argv.slice(2);
const option = (name, usual) => (options.includes(name) ? options[options.indexOf(name) + 1] : usual);
const [JOBS, PAINTS] = [Number(option('--jobs', 100_000)), Number(option('--paints', 240))];
const PROFILE = option('--profile');
const DIST = path.resolve(import.meta.dirname, '../../crates/web/dist');
const ORIGIN = 'https://farm.test';
/** What the API gives at most of one page. */
const PAGE_MAX = 1000;
/** Height of a row, and rows of each step that is measured: a wheel, a flick, a dragged bar. */
const ROW = 34;
const STEPS = [3, 25, 100];
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

const NOW = Date.now();
const STATUS = ['complete', 'complete', 'complete', 'running', 'failed', 'pending', 'killed'];
/** A job like many: each id has its own, so that no two rows look alike. */
function job(id) {
  const total = 20 + ((id * 7919) % 400);
  const status = STATUS[id % STATUS.length];
  const complete = status === 'complete' ? total : status === 'pending' ? 0 : (id * 31) % total;
  const running = status === 'running' ? Math.min(4, total - complete) : 0;
  const failed = status === 'failed' ? Math.min(3, total - complete) : 0;
  const items = { total, complete, running, failed, pending: total - complete - running - failed, blocked: 0, waiting: 0, suspended: 0, killed: 0 };
  return {
    id, name: `show_${id % 40}/shot_${String(id % 997).padStart(4, '0')}/comp_v${id % 60}`, user: ['mia', 'tom', 'ada', 'render'][id % 4], kind: 'cmdrange', status,
    is_failing: failed > 0, is_retrying: false, priority: 5000 + (id % 9), cpus: 4, running_instances: running, items,
    submitted_ms: NOW - (JOBS - id) * 60_000, started_ms: status === 'pending' ? null : NOW - (JOBS - id) * 59_000, ended_ms: running ? null : NOW - (JOBS - id) * 30_000,
  };
}

function answer(url) {
  const at = url.pathname.replace('/api/v1', '');
  if (at === '/info') return { farm_id: 'x', farm_name: 'made up', version: '0', api: 1, caller: { name: 'mia', proof: 'none', is_admin: true }, ca_sha256: '', now_ms: NOW };
  if (at === '/hosts') return { hosts: [] };
  if (at !== '/jobs') return undefined;
  const from = Number(url.searchParams.get('cursor') ?? JOBS);
  const jobs = [];
  for (let id = from; id > Math.max(0, from - PAGE_MAX); id--) jobs.push(job(id));
  const next = from - PAGE_MAX;
  return { jobs, next: next > 0 ? String(next) : null };
}

async function serve(route) {
  const url = new URL(route.request().url());
  if (url.pathname.startsWith('/api/')) {
    const json = answer(url);
    // The stream of events stays open and says nothing.
    if (url.pathname.endsWith('/events')) return;
    return route.fulfill(json ? { json } : { status: 404, json: { code: 'not_found', message: 'not made up' } });
  }
  const file = path.join(DIST, path.extname(url.pathname) ? url.pathname : 'index.html');
  return route.fulfill({ body: await readFile(file), contentType: TYPES[path.extname(file)] });
}

/** Scrolls down by `step` pixels each repaint; answers how long each took. */
const scroll = ([selector, paints, step]) =>
  new Promise((done) => {
    const box = document.querySelector(selector);
    const times = [];
    let [last, top] = [0, 0];
    const turn = (now) => {
      if (last) times.push(now - last);
      last = now;
      box.scrollTop = top += step;
      if (times.length < paints) requestAnimationFrame(turn);
      else done(times);
    };
    box.scrollTop = 0;
    requestAnimationFrame(turn);
  });

const at = (numbers, part) => [...numbers].sort((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * part))];
const ms = (n) => `${n.toFixed(n < 10 ? 1 : 0)} ms`;

const browser = await chromium.launch({ args: process.getuid() === 0 ? ['--no-sandbox'] : [], executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium' });
try {
  const page = await (await browser.newContext({ viewport: { width: 1320, height: 840 } })).newPage();
  await page.route('**/*', serve);
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Performance.enable');
  const spent = async () => Object.fromEntries((await cdp.send('Performance.getMetrics')).metrics.map(({ name, value }) => [name, value * 1_000]));
  await page.goto(`${ORIGIN}/jobs`);
  await page.getByText(`${JOBS.toLocaleString('en-US')} jobs`).waitFor({ timeout: 120_000 });
  if (PROFILE) {
    await cdp.send('Profiler.enable');
    await cdp.send('Profiler.start');
  }
  for (const rows of STEPS) {
    const before = await spent();
    const times = await page.evaluate(scroll, ['.table .rows', PAINTS, rows * ROW]);
    const after = await spent();
    const each = (name) => ms((after[name] - before[name]) / times.length);
    const late = times.filter((time) => time > 17.5).length;
    console.log(
      `| ${JOBS.toLocaleString('en-US')} jobs, scrolled by ${rows} rows each repaint: middle, of 100 the 95th, slowest | ${ms(at(times, 0.5))}, ${ms(at(times, 0.95))}, ${ms(at(times, 1))}; late: ${late} of ${times.length}; ` +
        `script ${each('ScriptDuration')}, style ${each('RecalcStyleDuration')}, layout ${each('LayoutDuration')}, all of the main thread ${each('TaskDuration')} |`,
    );
  }
  if (PROFILE) await writeFile(PROFILE, JSON.stringify((await cdp.send('Profiler.stop')).profile));
} finally {
  await browser.close();
}
