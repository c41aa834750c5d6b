// A farm of its own for the walk: supervisor and desktop worker on loopback, as an ordinary user, on a temporary folder.
// Everything that is started here is ended here, by its number.
import { execFile, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdtempSync, readFileSync, rmSync, existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** How long anything may take, in milliseconds. */
export const DEADLINE_MS = 30_000;
const LOOK_MS = 100;

/** Waits until `what` answers something; never for a time. */
export async function until(what, name, deadline = DEADLINE_MS) {
  const end = Date.now() + deadline;
  for (;;) {
    const found = await what();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not in time: ${name}`);
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
}

export class Farm {
  #children = [];

  constructor(programs) {
    this.dir = mkdtempSync(path.join(tmpdir(), 'tessera-web-'));
    chmodSync(this.dir, 0o755);
    for (const name of ['tessera', 'tessera-launch']) copyFileSync(path.join(programs, name), path.join(this.dir, name));
    this.state = path.join(this.dir, 'home', 'farm');
    mkdirSync(path.join(this.dir, 'home'));
    this.socket = path.join(this.state, 'run', 'supervisor.sock');
    // No job runs as root, and no browser should: somebody who is made for it and goes again.
    this.user = process.getuid() === 0 ? `mia-${process.pid}` : undefined;
    if (this.user) {
      const made = spawnSync('useradd', ['--no-create-home', '--home-dir', path.join(this.dir, 'home'), '--shell', '/bin/sh', this.user]);
      if (made.status !== 0) throw new Error(`useradd: ${made.stderr}`);
      const [, , uid, gid] = readFileSync('/etc/passwd', 'utf8').split('\n').find((line) => line.startsWith(`${this.user}:`)).split(':');
      chownSync(path.join(this.dir, 'home'), Number(uid), Number(gid));
    }
  }

  #words(words) {
    const env = ['env', '-i', 'PATH=/usr/bin:/bin', `HOME=${path.join(this.dir, 'home')}`, `TESSERA_SUPERVISOR=unix:${this.socket}`];
    const all = [...env, path.join(this.dir, 'tessera'), ...words];
    return this.user ? ['runuser', '-u', this.user, '--', ...all] : all;
  }

  /** Runs a command of the program; answers what it printed. */
  async tessera(...words) {
    const [program, ...rest] = this.#words(words);
    return (await run(program, rest, { timeout: DEADLINE_MS, cwd: this.dir })).stdout.trim();
  }

  #spawn(name, words) {
    const [program, ...rest] = this.#words(words);
    const child = spawn(program, rest, { cwd: this.dir, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    child.said = '';
    child.stdout.on('data', (data) => (child.said += data));
    child.stderr.on('data', (data) => (child.said += data));
    this.#children.push(child);
    child.title = name;
    return child;
  }

  async start() {
    this.supervisor = await this.#serve('127.0.0.1:0');
    this.address = readFileSync(path.join(this.state, 'run', 'supervisor.addr'), 'utf8').trim();
    const join = JSON.parse(await this.tessera('--json', 'join-string')).join_string;
    await this.tessera('join', '--desktop', '--name', 'rnd001', '--state', this.state, join);
    this.worker = this.#spawn('worker', ['worker', '--desktop', '--slots', '2', '--state', this.state]);
    await until(async () => (await this.tessera('hosts').catch(() => '')).includes(' up '), 'the worker is up');
  }

  async #serve(listen) {
    const child = this.#spawn('supervisor', ['supervisor', '--state', this.state, '--listen', listen]);
    await until(() => {
      if (child.exitCode !== null) throw new Error(`the supervisor ended: ${child.said}`);
      return existsSync(path.join(this.state, 'run', 'supervisor.addr'));
    }, 'the supervisor serves');
    return child;
  }

  async stopSupervisor() {
    await this.#end(this.supervisor);
  }

  async startSupervisor() {
    this.supervisor = await this.#serve(this.address);
  }

  async #end(child, signal = 'SIGTERM') {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((done) => child.once('exit', done));
    // Its own group: runuser and what it started.
    process.kill(-child.pid, signal);
    await Promise.race([ended, new Promise((done) => setTimeout(done, 10_000))]);
  }

  async stop() {
    await this.tessera('kill', ...(JSON.parse(await this.tessera('--json', 'jobs').catch(() => '{"jobs":[]}')).jobs ?? []).map((job) => String(job.id))).catch(() => '');
    for (const child of this.#children.reverse()) await this.#end(child);
    for (const child of this.#children) await this.#end(child, 'SIGKILL');
    if (this.user) spawnSync('userdel', [this.user]);
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
