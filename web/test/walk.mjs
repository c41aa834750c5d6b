// Walks through the page in Chromium, on a real farm: what an artist does, what a wrangler does, what somebody hostile tries.
// usage: node test/walk.mjs FOLDER-OF-THE-PROGRAMS [--pictures FOLDER]
import axe from 'axe-core';
import { execFileSync } from 'node:child_process';
import { appendFileSync, chownSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { DEADLINE_MS, Farm, until } from './farm.mjs';

const [programs, flag, pictures] = process.argv.slice(2);
if (!programs) throw new Error('usage: node test/walk.mjs FOLDER-OF-THE-PROGRAMS [--pictures FOLDER]');
const browserProgram = ['chromium', 'chromium-browser', 'google-chrome'].map(which).find(Boolean);
let [passed, failed] = [0, 0];

function which(name) {
  try {
    return execFileSync('which', [name], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

function check(is, what) {
  if (!is) throw new Error(what);
}

async function step(name, walk) {
  const began = Date.now();
  try {
    await walk();
    passed++;
    console.log(`ok      ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed++;
    console.log(`FAILED  ${name}: ${error.stack ?? error}`);
    await page?.screenshot({ path: path.join(farm.dir, 'failed.png') }).catch(() => undefined);
  }
}

const farm = new Farm(path.resolve(programs));
let browser, page;
const faults = [];

/** Opens an address of the page. */
const visit = (to) => page.goto(`https://${farm.address}${to}`);
const seen = (text, of = page) => of.getByText(text, { exact: false }).first().waitFor({ timeout: DEADLINE_MS });
const submit = async (...words) => JSON.parse(await farm.tessera('--json', 'submit', ...words)).job;
const jobOf = async (id) => JSON.parse(await farm.tessera('--json', 'job', String(id))).job;
const settled = () => page.locator('header .line.on').waitFor({ state: 'attached' });

async function picture(name) {
  if (flag !== '--pictures') return;
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: path.join(pictures, `web-${name}.png`) });
}

/** Nothing that axe calls serious or worse. */
async function accessible(view) {
  await page.evaluate(axe.source);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  const bad = found.violations.filter((it) => ['serious', 'critical'].includes(it.impact));
  check(!bad.length, `${view}: ${bad.map((it) => `${it.id} ${it.nodes.map((n) => n.html).slice(0, 3).join(' ')}`).join('; ')}`);
}

async function logIn() {
  const { url } = JSON.parse(await farm.tessera('--json', 'open'));
  await page.goto(url);
  await page.getByRole('navigation', { name: 'Views' }).waitFor();
  return url;
}

async function newPage(options = {}) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1320, height: 840 }, colorScheme: 'dark', locale: 'en-GB', ...options });
  const made = await context.newPage();
  made.setDefaultTimeout(DEADLINE_MS);
  made.on('dialog', (dialog) => (faults.push(`a dialog: ${dialog.message()}`), dialog.dismiss()));
  made.on('pageerror', (error) => faults.push(`an error in the page: ${error.message}`));
  made.on('console', (said) => /Content Security Policy|Trusted Type/i.test(said.text()) && faults.push(`the policy: ${said.text()}`));
  return made;
}

const mend = path.join(farm.dir, 'home', 'mended');
const frame = (n) => `printf '\\033[1mframe %s\\033[0m of the shot\\n' ${n}; if [ ${n} = 5 ] && [ ! -e ${mend} ]; then echo 'loading textures/wood.exr'; printf '\\033[31mError: no such file: textures/wood.exr\\033[0m\\n' >&2; exit 3; fi; sleep 0.1`;
const hostile = `<img src=x onerror="document.hacked=1"><script>document.hacked=1</script>\u202e`;
let shot, waits, evil;

async function artist() {
  await visit('/');
  await seen('My jobs');
  await page.keyboard.press('g');
  await page.keyboard.press('m');
  await page.waitForURL(/q=user(%3A|:)me/);
  await page.keyboard.press('/');
  await page.keyboard.type(' shot_010');
  await page.waitForURL(/shot_010/);
  await page.keyboard.press('Escape');
  await page.getByRole('link', { name: String(shot), exact: true }).waitFor();
  // What is selected, and where the keys are, is said and not only coloured.
  const row = page.getByRole('grid', { name: 'Jobs' }).getByRole('row').filter({ has: page.getByRole('link', { name: String(shot), exact: true }) });
  check((await row.getAttribute('aria-selected')) === 'false' && (await row.getAttribute('aria-current')) === 'true', 'the row is current, and not selected');
  await page.keyboard.press(' ');
  await page.getByRole('row', { selected: true }).waitFor();
  await page.keyboard.press('Escape');
  await page.keyboard.press('Enter');
  await page.waitForURL(new RegExp(`/jobs/${shot}$`));
  await seen('1 failed');
  await seen('ended with: exit 3');
  await page.reload();
  await seen('ended with: exit 3');
  await settled();
  let asked = 0;
  const count = (request) => (asked += Number(request.url().includes('/states')));
  page.on('request', count);
  await page.waitForTimeout(1_000);
  page.off('request', count);
  check(asked <= 2, `a job at rest is asked for ${asked} times in a second`);
  await page.getByRole('cell', { name: '5', exact: true }).getByRole('link').click();
  await page.waitForURL(/items\/4/);
  await seen('The program said that it failed (exit 3)');
  await seen('no such file: textures/wood.exr');
  const colour = await page.locator('.line .fg1').first().textContent();
  check(colour.includes('no such file'), 'the error is coloured');
  await page.getByRole('button', { name: 'first error' }).click();
  await page.locator('.line.found').waitFor();
  await accessible('frame');
  await picture('frame');
  writeFileSync(mend, '');
  await page.getByRole('button', { name: 'retry', exact: true }).click();
  await seen('tessera retry');
  await page.getByRole('button', { name: /try 2/ }).waitFor();
  await seen('It finished well.');
  await page.keyboard.press('g');
  await page.keyboard.press('b');
  await page.locator('.title .state.complete').waitFor();
  check((await jobOf(shot)).status === 'complete', 'the farm says so too');
}

async function selecting() {
  await visit(`/jobs/${shot}`);
  const grid = page.getByRole('application');
  await grid.waitFor();
  const box = await grid.boundingBox();
  await page.mouse.move(box.x + 25, box.y + 10);
  await page.mouse.down();
  await page.mouse.move(box.x + 25 + 22 * 3, box.y + 10, { steps: 4 });
  await page.mouse.up();
  await seen(`tessera retry '${shot}#2-5'`);
  await grid.focus();
  await page.keyboard.press('Home');
  await page.keyboard.press('Shift+ArrowRight');
  await seen('2 frames');
  await page.keyboard.press('r');
  await seen('retry: 2 frames');
  await until(async () => (await jobOf(shot)).status === 'complete', 'the two ran again');
}

async function wrangler() {
  await visit('/hosts');
  await page.getByRole('link', { name: 'rnd001' }).waitFor();
  await accessible('hosts');
  await page.getByRole('button', { name: 'lock', exact: true }).click();
  await page.locator('td .state.locked').waitFor();
  const host = JSON.parse(await farm.tessera('--json', 'host', 'rnd001')).host;
  check(host.is_locked, 'the farm says so too');
  const job = await submit('--name', 'waits for the lock', '--range', '1-2', '--', 'true');
  await visit(`/jobs/${job}`);
  await page.locator('#why').getByText('locked').first().waitFor();
  await visit('/hosts/rnd001');
  await page.getByRole('button', { name: 'unlock', exact: true }).click();
  await until(async () => (await jobOf(job)).status === 'complete', 'it runs when the host is unlocked');
  await accessible('host');
}

async function requiring() {
  const job = await submit('--name', 'shot_090 sim', '--range', '1-4', '--requirements', 'host.memory >= 900T and host.os == linux', '--host-order', '+host.memory', '--', 'true');
  try {
    await visit(`/jobs/${job}`);
    const facts = page.getByRole('region', { name: 'What it runs' });
    await seen('asks of a host', facts);
    await facts.getByText(/host\.memory.*host\.os/).first().waitFor();
    await seen('picks first', facts);
    // The reason is of the class: what is asked, by whom it is not met, and what would change it.
    await page.locator('#why').getByText(/host\.memory/).first().waitFor();
    await settled();
    await accessible('job with requirements');
    await picture('job-requirements');
    await visit('/hosts/rnd001');
    await seen('cluster');
    await page.getByText('which requirements of jobs can name').click();
    await seen('host.os');
  } finally {
    await farm.tessera('kill', String(job));
  }
}

async function submitting() {
  await visit('/submit');
  await page.getByLabel('Command').fill(`sh -c 'echo "frame QB_FRAME_NUMBER"' it\\'s`);
  await page.getByLabel('Frames', { exact: true }).fill('1-');
  await page.getByRole('button', { name: 'check' }).click();
  await page.locator('form .bad').first().waitFor();
  await page.getByLabel('Frames', { exact: true }).fill('1-3');
  await page.getByLabel('Asks of a host').fill('host.memory >=');
  await page.getByRole('button', { name: 'check' }).click();
  await page.locator('form .bad').first().waitFor();
  await page.getByLabel('Asks of a host').fill('');
  await page.getByLabel('Only on').fill('nohost');
  await page.getByRole('button', { name: 'check' }).click();
  await seen('3 frames in 1 instance; nothing was sent');
  await seen('no known host is named nohost');
  await accessible('submit');
  await picture('submit');
  await page.getByLabel('Only on').fill('');
  await page.getByLabel('Limit on a host').fill('1');
  await page.getByLabel('Starts', { exact: true }).fill('50/s');
  await seen('--per-host 1 --start-rate 50/s');
  await page.getByRole('button', { name: 'submit', exact: true }).click();
  await page.waitForURL(/jobs\/\d+$/);
  const id = Number(page.url().split('/').at(-1));
  await page.locator('.title .state.complete').waitFor();
  const spec = JSON.parse(await farm.tessera('--json', 'job', String(id))).spec;
  check(JSON.stringify(spec.command) === JSON.stringify(['sh', '-c', 'echo "frame QB_FRAME_NUMBER"', "it's"]), `the words are those that were typed: ${spec.command}`);
  check(spec.per_host === 1 && spec.start_rate === '50/s', 'its limits are those that were typed');
}

async function changing() {
  const job = await submit('--name', 'shot_130 fx', '--hosts', 'nohost', '--range', '1-4', '--', 'true');
  try {
    await visit(`/jobs/${job}`);
    const facts = page.getByRole('region', { name: 'What it runs' });
    await facts.getByRole('button', { name: 'change instances' }).click();
    await facts.getByLabel('instances', { exact: true }).fill('3');
    await page.keyboard.press('Enter');
    await seen(`tessera modify ${job} --cpus 3`);
    await until(async () => (await jobOf(job)).cpus === 3, 'the farm says so too');
    // The keys are where they were.
    await until(() => page.evaluate(() => document.activeElement?.id === 'change-cpus'), 'the keys go back to the button');
    await facts.getByText('what else can be changed').click();
    await facts.getByRole('button', { name: 'change asks of a host' }).click();
    const asks = facts.getByLabel('asks of a host', { exact: true });
    await asks.fill('host.memory >=');
    await facts.getByRole('button', { name: 'save' }).click();
    await facts.getByRole('alert').waitFor();
    await accessible('a job that is changed');
    await picture('job-change');
    await asks.press('Escape');
    // What limits it, and whom it tells: none is said, one is taken away again.
    const set = async (label, value) => {
      await facts.getByRole('button', { name: `change ${label}`, exact: true }).click();
      await facts.getByLabel(label, { exact: true }).fill(value);
      await facts.getByRole('button', { name: 'save' }).click();
      await facts.getByRole('button', { name: 'save' }).waitFor({ state: 'detached' });
    };
    await set('limit on a host', '2');
    await seen(`tessera modify ${job} --per-host 2`);
    await set('limit of its group', '9');
    await set('starts', '10/min');
    await set('stops after', '3');
    await set('GPUs', '1');
    await seen(`tessera modify ${job} --reservations host.processors=1,host.gpus=1`);
    await until(async () => JSON.parse(await farm.tessera('--json', 'job', String(job))).spec.reservations.includes('host.gpus=1'), 'GPUs are reserved');
    const limited = JSON.parse(await farm.tessera('--json', 'job', String(job))).spec;
    check(limited.per_host === 2 && limited.pgrp_limit === 9 && limited.start_rate === '10/min' && limited.max_failures === 3, `its limits: ${JSON.stringify(limited)}`);
    await facts.getByText('2 instances at once').waitFor();
    await set('limit on a host', '');
    await seen(`tessera modify ${job} --per-host -1`);
    // This farm tells nobody: what is asked for in vain says so where it was typed.
    for (const [label, value, said] of [['mail when', 'done, failed', 'this farm writes no mail for jobs'], ['tells', 'chat=done', 'this farm has no webhook chat']]) {
      await facts.getByRole('button', { name: `change ${label}`, exact: true }).click();
      await facts.getByLabel(label, { exact: true }).fill(value);
      await facts.getByRole('button', { name: 'save' }).click();
      await facts.getByRole('alert').getByText(said).waitFor();
      await facts.getByLabel(label, { exact: true }).press('Escape');
    }
    await facts.getByRole('button', { name: 'change notes' }).click();
    await facts.getByLabel('notes', { exact: true }).fill(hostile);
    await facts.getByRole('button', { name: 'save' }).click();
    await facts.locator('dd', { hasText: '<img src=x' }).first().waitFor();
    check((await facts.locator('img, script').count()) === 0, 'notes became markup');
    const spec = JSON.parse(await farm.tessera('--json', 'job', String(job))).spec;
    check(spec.requirements === '' && spec.notes === hostile, 'what was refused and what was taken');
  } finally {
    await farm.tessera('kill', String(job));
  }
}

async function views() {
  await visit('/jobs?q=user:me&sort=name');
  const head = (name) => page.getByRole('columnheader', { name });
  await page.locator('summary', { hasText: 'columns' }).click();
  const columns = page.getByRole('group', { name: 'Columns' });
  await columns.getByLabel('Kind').check();
  await columns.getByLabel('Prio').uncheck();
  await head('Kind').waitFor();
  await head('Prio').waitFor({ state: 'detached' });
  await accessible('columns of the jobs');
  await page.locator('summary', { hasText: 'columns' }).click();
  await page.getByRole('button', { name: 'save this view' }).click();
  await page.getByLabel('Name of the view').fill('<b>mine, by name</b>');
  await page.keyboard.press('Enter');
  const own = page.getByRole('button', { name: '<b>mine, by name</b>', exact: true });
  await own.waitFor();
  await visit('/jobs');
  await page.locator('summary', { hasText: 'columns' }).click();
  await columns.getByRole('button', { name: 'the usual ones' }).click();
  await head('Prio').waitFor();
  await page.reload();
  await own.click();
  await page.waitForURL(/q=user(%3A|:)me.*sort=name/);
  await head('Kind').waitFor();
  check((await own.getAttribute('aria-pressed')) === 'true', 'the view that is open is said');
  await page.getByRole('button', { name: 'Forget the view <b>mine, by name</b>' }).click();
  await own.waitFor({ state: 'detached' });
  await page.locator('summary', { hasText: 'columns' }).click();
  await columns.getByRole('button', { name: 'the usual ones' }).click();
}

async function access() {
  const other = await newPage();
  await other.goto(JSON.parse(await farm.tessera('--json', 'open')).url);
  await other.getByRole('navigation', { name: 'Views' }).waitFor();
  await visit('/access');
  await seen('this session');
  await accessible('access');
  await picture('access');
  await page.getByRole('row').filter({ has: page.getByRole('cell', { name: 'session', exact: true }) }).getByRole('button', { name: 'revoke' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'revoke' }).click();
  await seen('tessera token revoke w');
  await other.getByLabel(/Or with a token/).waitFor();
  await other.context().close();
  await page.getByRole('button', { name: 'make a join string' }).click();
  await page.locator('code', { hasText: "tessera join 'tessera-join:" }).waitFor();
  await seen('The farm’s own, which no browser knows');
}

async function resources() {
  const enough = path.join(farm.dir, 'home', 'enough');
  const job = await submit('--name', 'shot_120 comp', '--range', '1-4', '--cpus', '2', '--reservations', 'license.nuke=1', '--', 'sh', '-c', `while [ ! -e ${enough} ]; do sleep 0.1; done`);
  await page.keyboard.press('g');
  await page.keyboard.press('a');
  await page.waitForURL(/\/admin\/resources$/);
  await page.getByLabel('Name', { exact: true }).fill('license.<img src=x onerror=document.hacked=1>');
  await page.getByLabel('How many there are', { exact: true }).fill('3');
  await page.getByRole('button', { name: 'say it' }).click();
  await page.locator('form .bad').first().waitFor();
  await page.getByLabel('Name', { exact: true }).fill('license.nuke');
  await page.getByRole('button', { name: 'say it' }).click();
  await seen('tessera resource set license.nuke --total 3');
  // What waited for it starts, and holds it.
  const row = page.getByRole('row').filter({ hasText: 'license.nuke' });
  await row.getByRole('link', { name: String(job), exact: true }).waitFor();
  await until(async () => /license\.nuke\s*2\s*1\s*3/.test((await row.textContent()).replaceAll(/\s+/g, ' ')), 'two are held, one is free');
  await farm.tessera('resource', 'set', 'license.maya', '--total', '120', '--used', '97', '--ttl', '10m');
  await page.getByRole('row').filter({ hasText: 'license.maya' }).getByText('97', { exact: true }).waitFor();
  await settled();
  await accessible('resources');
  await picture('resources');
  writeFileSync(enough, '');
  await until(async () => (await jobOf(job)).status === 'complete', 'it runs with its licences');
  await row.getByText('nobody').waitFor();
  await row.getByRole('button', { name: 'forget license.nuke' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'forget' }).click();
  await row.waitFor({ state: 'detached' });
}

async function configuring() {
  const file = path.join(farm.state, 'workers.toml');
  const text = (groups) => `# what every host of the studio has\n[default]\nworker_description = "<img src=x onerror=document.hacked=1>"\n\n[template.gpu]\nworker_groups = [${groups}]\nworker_resources = ["host.gpu=2"]\n\n[host."rnd[001-100]"]\ninherits = ["gpu"]\n`;
  await visit('/admin/workers');
  await page.getByRole('button', { name: 'edit', exact: true }).click();
  const draft = page.getByLabel('workers.toml', { exact: true });
  await draft.fill('[default]\nworker_cpu = 3\n');
  await page.getByRole('button', { name: 'check', exact: true }).click();
  await seen('did you mean `worker_cpus`?');
  check(await page.getByRole('button', { name: 'apply' }).isDisabled(), 'a text with mistakes can be applied');
  await draft.fill(text('"linux", "gpu"'));
  await page.getByRole('button', { name: 'check', exact: true }).click();
  await page.getByRole('row').filter({ hasText: 'worker_groups' }).getByText('["linux", "gpu"]').waitFor();
  await accessible('worker configuration, written');
  await page.getByRole('button', { name: 'apply' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'apply' }).click();
  await page.getByRole('row').filter({ hasText: 'rnd001' }).getByText('taken', { exact: true }).waitFor();
  const host = JSON.parse(await farm.tessera('--json', 'host', 'rnd001')).host;
  check(host.properties['host.groups'] === 'linux,gpu', `the host is in ${host.properties['host.groups']}`);
  await page.getByLabel('Host', { exact: true }).selectOption('rnd001');
  await page.waitForURL(/host=rnd001/);
  const explained = page.getByRole('region', { name: /^What holds for a host/ });
  await seen('line 6, [template.gpu], inherited by', explained);
  await settled();
  await accessible('worker configuration');
  await picture('workers');
  check((await page.locator('main img, main script').count()) === 0, 'the file became markup');
  // Somebody else was quicker: nothing of theirs is overwritten.
  await page.getByRole('button', { name: 'edit', exact: true }).click();
  await draft.fill(text('"linux"'));
  await page.getByRole('button', { name: 'check', exact: true }).click();
  await seen('without mistakes');
  appendFileSync(file, '# by hand\n');
  await page.getByRole('button', { name: 'apply' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'apply' }).click();
  await seen('was changed since it was read');
  // Mistakes that came by hand are shown at their lines, and the last good file holds.
  writeFileSync(file, '[default]\nworker_grups = ["a"]\n');
  await page.reload();
  await seen('has mistakes: hosts are told what held before');
  await page.locator('.source .wrong').getByText('worker_grups').waitFor();
  if (process.getuid() === 0) {
    chownSync(file, 0, 0);
    await page.reload();
    await seen('It can’t be changed from here');
    await seen('sudoedit');
    check((await page.getByRole('button', { name: 'edit', exact: true }).count()) === 0, 'a file of root’s can be edited');
  }
  rmSync(file);
  await farm.tessera('reconfigure');
}

async function auditing() {
  await visit('/admin/audit');
  await page.getByRole('row').filter({ hasText: 'workers.set' }).filter({ hasText: 'worker_description, worker_groups, worker_resources of 1 connected host' }).waitFor();
  await settled();
  await accessible('audit');
  await picture('audit');
  await page.getByLabel('What', { exact: true }).selectOption('resources and settings');
  await page.waitForURL(/what=resource/);
  await page.getByRole('row').filter({ hasText: 'job.submitted' }).first().waitFor({ state: 'detached' });
  await page.getByRole('row').filter({ hasText: 'resource.removed' }).first().waitFor();
  // What happens meanwhile comes by itself.
  await farm.tessera('resource', 'remove', 'license.maya');
  await page.getByRole('row').filter({ hasText: 'resource.removed' }).filter({ hasText: 'license.maya' }).waitFor();
  await page.getByLabel('By', { exact: true }).fill('nobody-of-that-name');
  await page.keyboard.press('Enter');
  await seen('Nothing of that is in the farm’s history.');
}

async function errors() {
  const gate = path.join(farm.dir, 'home', 'gate');
  const lost = `[ -e ${gate} ] || { printf '\\033]0;title\\007Error: <img src=x onerror=document.hacked=1> lost frame QB_FRAME_NUMBER of /show/QB_FRAME_NUMBER.exr\\n' >&2; exit 1; }`;
  const [one, two] = [await submit('--range', '1-3', '--', 'sh', '-c', lost), await submit('--range', '7', '--', 'sh', '-c', lost)];
  for (const id of [one, two]) await until(async () => (await jobOf(id)).status === 'failed', 'both failed');
  await visit('/errors');
  const group = page.getByRole('region', { name: 'Error: <img src=x onerror=document.hacked=<n>> lost frame <n> of <path>' });
  await group.waitFor();
  await seen('4 frames', group);
  await settled();
  await accessible('errors');
  await picture('errors');
  check((await page.locator('.error img, .error script').count()) === 0, 'a line became markup');
  writeFileSync(gate, '');
  await group.getByRole('button', { name: 'retry all 4' }).click();
  await seen(`tessera retry '${two}#1' '${one}#1-3'`);
  await group.waitFor({ state: 'detached' });
  for (const id of [one, two]) await until(async () => (await jobOf(id)).status === 'complete', 'both are tried again');
}

/** Submits jobs in the page's session that never run; answers their numbers. */
const submitMany = (many) =>
  page.evaluate(async (many) => {
    const body = JSON.stringify({ command: ['true'], range: '1', status: 'blocked', name: 'no license', hosts: ['nohost'] });
    const one = async () => (await (await fetch('/api/v1/jobs', { method: 'POST', headers: { 'X-Tessera-Web': '1' }, body })).json()).job;
    const found = [];
    while (found.length < many) found.push(...(await Promise.all(Array.from({ length: Math.min(50, many - found.length) }, one))));
    return found;
  }, many);

async function manyErrors() {
  // More than one request takes, each of a job of its own.
  const many = 1_100;
  await visit('/errors');
  const ids = (await submitMany(many)).map(String);
  try {
    await farm.tessera('fail', ...ids);
    await page.keyboard.press('R');
    const group = page.getByRole('region', { name: / declared it failed/ });
    await group.getByRole('button', { name: 'retry all 1,100' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'retry' }).click();
    await page.getByRole('status').getByText(/^1,100 frames, .*changed$/).waitFor();
    await group.waitFor({ state: 'detached' });
    const { jobs } = JSON.parse(await farm.tessera('--json', 'jobs', '--all'));
    const mine = jobs.filter((job) => ids.includes(String(job.id)));
    check(mine.length === many && mine.every((job) => job.items.failed === 0), `${mine.filter((job) => job.items.failed).length} of ${mine.length} were not tried again`);
  } finally {
    await farm.tessera('kill', ...ids);
    await farm.tessera('remove', ...ids);
  }
}

async function timeLine() {
  const job = await submit('--name', 'shot_110 layout', '--range', '1-6', '--cpus', '2', '--', 'sh', '-c', 'sleep 0.4; exit $((QB_FRAME_NUMBER == 3))');
  await until(async () => (await jobOf(job)).status === 'failed', 'all of it ran');
  await page.keyboard.press('g');
  await page.keyboard.press('l');
  await page.waitForURL(/\/timeline$/);
  const line = page.getByRole('application', { name: /^Time line/ });
  await line.waitFor();
  const here = page.locator('#span-here');
  await until(async () => {
    // What failed is among what ran last.
    await line.focus();
    await page.keyboard.press('End');
    for (let n = 0; n < 40 && !/failed/.test((await here.textContent()) ?? ''); n++) await page.keyboard.press('ArrowLeft');
    return new RegExp(`rnd001: ${job} shot_110 layout .* failed`).test((await here.textContent()) ?? '');
  }, 'the keys find what failed');
  await page.keyboard.press('+');
  await page.waitForURL(/span=1800000/);
  await settled();
  await accessible('time line');
  await page.keyboard.press('Enter');
  await page.waitForURL(new RegExp(`/jobs/${job}/items/\\d+$`));
  await page.goBack();
  await page.getByRole('button', { name: 'by user' }).click();
  await page.waitForURL(/by=user/);
  await page.getByRole('button', { name: 'by job' }).click();
  // A drag zooms into what it covers.
  await page.getByRole('button', { name: '15 min' }).click();
  await page.waitForURL(/span=900000/);
  await line.waitFor();
  for (const [name, span] of [['week', '604800000'], ['15 min', '900000']]) {
    await page.getByRole('button', { name, exact: true }).click();
    await page.waitForURL(new RegExp(`span=${span}`));
    await settled();
    check((await page.getByRole('status').filter({ hasText: /week at most/ }).count()) === 0, `${name} is refused`);
    await line.waitFor();
  }
  const box = await line.boundingBox();
  await page.mouse.move(box.x + box.width * 0.7, box.y + 30);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.95, box.y + 30, { steps: 4 });
  await page.mouse.up();
  await page.waitForURL(/until=\d+/);
  await page.keyboard.press('N');
  await page.waitForURL((url) => !url.search.includes('until'));
  await visit('/hosts/rnd001');
  await page.getByRole('region', { name: 'What it ran' }).getByRole('application').waitFor();
  await settled();
  await accessible('host with its time line');
}

/** Puts a week into a store that nobody has open: made up, for the picture only. The form is that of the first format, which is read for ever. */
function makeUpAWeek() {
  const now = Math.floor(Date.now() / 300_000);
  const rows = [];
  for (let number = now - 2_016; number < now; number++) {
    const [hour, at] = [(number / 12) % 24, (number - now) / 288];
    const [busy, wave] = [Math.max(0, Math.sin(((hour - 6) / 24) * 2 * Math.PI)), 0.85 + 0.15 * Math.sin(number / 7) * Math.sin(number / 3)];
    if (at > -4.2 && at < -4.0) continue;
    const used = Math.round(40 * (0.25 + 0.75 * busy) * wave);
    const share = (of) => Math.round(used * of * 300_000);
    rows.push({
      format: 1, number, looks: 5, slots: 200, slots_used: used * 5, memory: 5 * 40 * 8_192, memory_used: used * 5 * 6_000, pending: Math.round(5 * 900 * busy * busy * wave), running: used * 5,
      hosts_up: 50, done: Math.round(used * 1.4), failed: number % 97 < 3 ? 9 : number % 11 === 0 ? 1 : 0, waits: 2, wait_ms: Math.round(2 * (4_000 + 500_000 * busy * busy * wave)), wait_max_ms: Math.round(9_000 + 900_000 * busy * busy * wave),
      users: { mia: share(0.5), tom: share(0.3), ana: share(0.15) }, jobs: { 1: share(0.4), 3: share(0.3), 4: share(0.2) }, other_users_ms: share(0.05), other_jobs_ms: share(0.1),
    });
  }
  const text = rows.map((row) => `INSERT OR REPLACE INTO meta VALUES ('trends.${String(row.number % 2_304).padStart(4, '0')}', '${JSON.stringify(row)}');`);
  execFileSync('sqlite3', [path.join(farm.state, 'supervisor', 'store', 'tessera.db')], { input: `BEGIN;${text.join('')}COMMIT;` });
}

async function trends() {
  const token = JSON.parse(await farm.tessera('--json', 'token', 'create', '--metrics', '--note', 'prometheus')).token;
  const scrape = await page.request.get(`https://${farm.address}/metrics`, { headers: { authorization: `Bearer ${token}` } });
  check(scrape.status() === 200 && /^tessera_slots 2$/m.test(await scrape.text()), 'a scraper reads the slots');
  const refused = await page.request.get(`https://${farm.address}/api/v1/jobs`, { headers: { authorization: `Bearer ${token}` } });
  check(refused.status() === 401, 'and nothing else');
  await page.keyboard.press('g');
  await page.keyboard.press('t');
  await page.waitForURL(/\/trends$/);
  // The supervisor looks first some seconds after its start.
  await until(async () => (await page.locator('.plot canvas').count()) === 5 || (await page.keyboard.press('R'), false), 'the charts are drawn');
  const slots = page.getByRole('slider', { name: /^Slots/ });
  await slots.focus();
  await page.keyboard.press('End');
  const last = Number(await slots.getAttribute('aria-valuemax'));
  check(Number(await slots.getAttribute('aria-valuenow')) === last, 'End goes to the last step');
  await until(async () => {
    if (/in use [\d.]+, there 2$/.test(await slots.getAttribute('aria-valuetext'))) return true;
    await page.keyboard.press('ArrowLeft');
    return false;
  }, 'a step in which the farm was looked at');
  await page.keyboard.press('W');
  await page.waitForURL(/hours=168/);
  await page.getByRole('button', { name: 'week', pressed: true }).waitFor();
  await accessible('trends');
  if (flag === '--pictures') {
    await farm.stopSupervisor();
    makeUpAWeek();
    await farm.startSupervisor();
    await page.reload();
    await page.getByRole('cell', { name: 'ana' }).waitFor();
    await settled();
    await picture('trends');
  }
}

async function hostility() {
  // Among what was done last, too.
  const last = await submit('--name', hostile, '--status', 'blocked', '--', 'true');
  for (const view of ['/', '/jobs', '/admin/audit?what=job', `/jobs/${evil}`, `/jobs/${evil}/items/0`]) {
    await visit(view);
    await seen(view.endsWith('items/0') ? 'a link that is none' : '<img src=x');
    await settled();
  }
  await farm.tessera('kill', String(last));
  check((await page.evaluate(() => document.hacked)) === undefined, 'a name or a log ran a script');
  check((await page.locator('.log a[href^="javascript"], .log img, .log script').count()) === 0, 'a log became markup');
  // The log by its own address, as a page of our origin.
  const raw = await page.context().newPage();
  const answer = await raw.goto(`https://${farm.address}/api/v1/jobs/${evil}/items/0/log`).catch(() => undefined);
  check(!answer || answer.headers()['content-security-policy'].includes('sandbox'), 'a log can be opened as a page');
  await raw.close();
  // The browser itself refuses a text that should become markup or a script.
  const refused = await page.evaluate(() => {
    try {
      Reflect.set(document.createElement('div'), 'inner' + 'HTML', '<b>x</b>');
      return false;
    } catch {
      return true;
    }
  });
  check(refused, 'Trusted Types are on');
  faults.splice(0, faults.length, ...faults.filter((fault) => !/Trusted Type|TrustedHTML/.test(fault)));
}

async function otherSites() {
  const target = `https://${farm.address}`;
  const site = createServer((request, response) => {
    response.setHeader('content-type', 'text/html');
    response.end(`<iframe src="${target}/jobs" name="framed"></iframe>
      <form id="f" method="post" enctype="text/plain" action="${target}/api/v1/actions">
      <input name='{"action":"kill","targets":["${waits}"],"x":"' value='"}'></form><script>
      fetch('${target}/api/v1/actions',{method:'POST',mode:'no-cors',credentials:'include',body:'{"action":"kill","targets":["${waits}"]}'})
        .catch(()=>0).then(()=>fetch('${target}/api/v1/actions',{method:'POST',credentials:'include',headers:{'X-Tessera-Web':'1'},body:'{"action":"kill","targets":["${waits}"]}'}))
        .catch(()=>0).then(()=>fetch('${target}/api/v1/jobs',{credentials:'include'})).then(a=>a.text(),()=>'refused').then(t=>{document.title=t})
      </script>`);
  });
  await new Promise((done) => site.listen(0, '127.0.0.1', done));
  const other = await page.context().newPage();
  await other.goto(`http://127.0.0.1:${site.address().port}/`);
  await until(async () => (await other.title()) === 'refused', 'another site is refused');
  const inside = other.frames().find((it) => it.name() === 'framed');
  check(!inside || !(await inside.content()).includes('id="app"'), 'the page can be put into a frame');
  await other.evaluate(() => document.getElementById('f').submit());
  await other.waitForURL(`${target}/api/v1/actions`);
  await other.close();
  site.close();
  check((await jobOf(waits)).status === 'pending', 'another site has killed a job');
}

async function lostLine() {
  await visit('/jobs');
  await page.getByRole('link', { name: String(shot), exact: true }).waitFor();
  await farm.stopSupervisor();
  await page.getByRole('alert').filter({ hasText: 'No connection to the supervisor' }).waitFor();
  check(await page.getByRole('link', { name: String(shot), exact: true }).isVisible(), 'what was shown stays');
  await picture('offline');
  await farm.startSupervisor();
  await page.locator('header .line.on').waitFor();
  const after = await submit('--name', 'after the break', '--range', '1', '--', 'true');
  await page.getByRole('link', { name: String(after), exact: true }).waitFor();
}

async function overSession() {
  await visit('/jobs');
  await page.getByRole('link', { name: String(shot), exact: true }).waitFor();
  const tokens = JSON.parse(await farm.tessera('--json', 'token', 'list')).tokens;
  for (const token of tokens) await farm.tessera('token', 'revoke', token.id);
  await page.getByLabel(/Or with a token/).waitFor();
  check((await page.getByText('shot_010').count()) === 0, 'what was shown is gone');
  await accessible('login');
  await picture('login');
  await page.getByText('Your browser warned of this address?').click();
  await seen('If it is not, type no token here');
  await accessible('login, with its words on certificates');
  await page.getByLabel(/Or with a token/).fill('tessera_nonsense');
  await page.getByRole('button', { name: 'Log in' }).click();
  await seen('the token is not good');
  const { token } = JSON.parse(await farm.tessera('--json', 'token', 'create', '--note', 'walk'));
  await page.getByLabel(/Or with a token/).fill(token);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('link', { name: String(shot), exact: true }).waitFor();
}

async function looks() {
  const dark = page;
  const crowd = await submit('--name', 'shot_100 crowd', '--range', '1001-1900', '--cpus', '2', '--', 'sh', '-c', 'sleep 0.03; exit $((QB_FRAME_NUMBER % 37 == 0))');
  try {
    await until(async () => (await jobOf(crowd)).items.complete > 80, 'some of the crowd is done');
    await lookAtAll(crowd);
  } finally {
    page = dark;
    // On a quick machine all of it is done by now.
    await farm.tessera('kill', String(crowd)).catch(() => '');
  }
}

async function lookAtAll(crowd) {
  for (const [view, name, text] of [['/', 'home', 'shot_100'], ['/jobs', 'jobs', 'shot_010'], [`/jobs/${crowd}`, 'job', 'shot_100']]) {
    await visit(view);
    await settled();
    await seen(text);
    await accessible(name);
    await picture(name);
  }
  for (const [view, name] of [['/timeline?span=40000', 'timeline'], ['/hosts/rnd001?span=20000', 'host']]) {
    await visit(view);
    await page.getByRole('application', { name: /^Time line/ }).waitFor();
    await settled();
    await picture(name);
  }
  await page.keyboard.press('?');
  await page.getByRole('heading', { name: 'Keys' }).waitFor();
  await picture('keys');
  await page.keyboard.press('Escape');
  await visit('/hosts');
  await settled();
  await picture('hosts');
  const state = await page.context().storageState();
  page = await newPage({ colorScheme: 'light', storageState: state });
  await visit('/jobs');
  await page.getByRole('link', { name: String(shot), exact: true }).waitFor();
  await accessible('jobs, light');
  await picture('jobs-light');
  await page.context().close();
  page = await newPage({ viewport: { width: 390, height: 780 }, storageState: state });
  await visit(`/jobs/${crowd}`);
  await page.getByRole('application').waitFor();
  await settled();
  await seen('failed frames ended with');
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  check(wide <= 0, `the phone's page is ${wide} pixels too wide`);
  await accessible('job on a phone');
  await picture('job-phone');
  await page.context().close();
}

try {
  await farm.start();
  browser = await chromium.launch({ executablePath: browserProgram, args: process.getuid() === 0 ? ['--no-sandbox'] : [] });
  page = await newPage();
  const log = "printf '<script>document.hacked=1</script><img src=x onerror=document.hacked=1>\\n\\033]8;;javascript:document.hacked=1\\007a link that is none\\033]8;;\\007\\n\\033]0;title\\007'";
  shot = await submit('--name', 'shot_010 comp', '--range', '1-12', '--cpus', '2', '--', 'sh', '-c', frame('QB_FRAME_NUMBER'));
  const doEvil = () => submit('--name', hostile, '--range', '1', '--', 'sh', '-c', log);
  waits = await submit('--name', 'shot_020 fx', '--hosts', 'nohost', '--range', '1-400', '--', 'true');
  for (let n = 3; n < 9; n++) await submit('--name', `shot_0${n}0 lighting`, '--range', '1-40', '--', 'sh', '-c', n === 6 ? 'exit $((QB_FRAME_NUMBER % 4 == 0))' : 'true');
  evil = await doEvil();
  await step('a link logs in once, out of the address, and no script sees the cookie', async () => {
    const url = await logIn();
    check(!page.url().includes('#'), 'the secret is out of the address');
    check((await page.evaluate(() => document.cookie)) === '', 'the cookie is none of a script');
    const other = await newPage();
    await other.goto(url);
    await seen('the link is not good', other);
    await other.context().close();
  });
  await until(async () => ['failed', 'complete'].includes((await jobOf(shot)).status), 'the shot ended');
  await until(async () => (await jobOf(evil)).status === 'complete', 'the hostile job ended');
  await step('an artist finds the shot, sees why a frame failed, retries it and watches it finish', artist);
  await step('frames are selected by mouse and keyboard and run again', selecting);
  await step('a wrangler locks a host, sees who waits for it, and unlocks it', wrangler);
  await step('what a job asks of hosts, and which of them it gets first, is seen with why it waits', requiring);
  await step('a job is checked, mended and submitted', submitting);
  await step('a job is changed where its facts stand, and what is refused says why', changing);
  await step('columns are chosen, and a view is kept under a name', views);
  await step('a session is seen and revoked, and its browser is out at once', access);
  await step('an administrator says how many licences there are, and sees who holds them', resources);
  await step('the configuration of workers is seen, checked, changed and explained', configuring);
  await step('who did what is seen, the newest first', auditing);
  await step('what failed alike is seen together and retried at once', errors);
  await step('more failures than one request takes are all retried', manyErrors);
  await step('what ran where is seen over time, by keyboard too, and opens the frame', timeLine);
  await step('the last days are seen as charts, by keyboard too, and a scraper reads its page only', trends);
  await step('hostile names and logs stay text', hostility);
  await step('other sites act not, read not and frame not', otherSites);
  await step('every view is accessible, dark, light and on a phone', looks);
  await step('a lost line is said, what was shown stays, and it goes on', lostLine);
  await step('a session that is over shows nothing more, and a token begins another', overSession);
  await step('nothing else went wrong in the page', () => check(!faults.length, [...new Set(faults)].slice(0, 5).join('\n')));
} catch (error) {
  failed++;
  console.log(`FAILED  the walk: ${error.stack ?? error}\n${farm.supervisor?.said ?? ''}\n${farm.worker?.said ?? ''}`);
} finally {
  await browser?.close();
  await farm.stop();
}
console.log(`${passed} passed, ${failed} failed, 0 skipped`);
process.exit(failed ? 1 : 0);
