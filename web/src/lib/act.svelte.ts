// Doing things: what each is called, what its command line is, when it asks first, and what came of it.
import { post, type ActionReply } from './api';
import { count, parts, quoted } from './words';

export interface Verb {
  word: string;
  /** What it does, in few words. */
  help: string;
  key?: string;
  isHarsh?: boolean;
}

/** What can be done to jobs and frames; the words are those of the command line. */
export const VERBS: Verb[] = [
  { word: 'retry', help: 'Run again what has failed or was killed', key: 'r' },
  { word: 'kill', help: 'End it; nothing more is done for it until it is retried', key: 'x', isHarsh: true },
  { word: 'block', help: 'Hold it; what runs is ended and put back', key: 'b' },
  { word: 'unblock', help: 'Release what is blocked', key: 'u' },
  { word: 'suspend', help: 'Stop its processes where they are' },
  { word: 'resume', help: 'Let suspended processes go on' },
  { word: 'interrupt', help: 'End what runs now and put it back' },
  { word: 'migrate', help: 'End what runs now and put it back, to run on another host' },
  { word: 'requeue', help: 'Put back what has ended, blocked' },
  { word: 'complete', help: 'Declare it complete', isHarsh: true },
  { word: 'fail', help: 'Declare it failed', isHarsh: true },
];
/** What can be done to whole jobs only. */
export const JOB_VERBS: Verb[] = [
  ...VERBS,
  { word: 'top', help: 'Put it before all others of its priority' },
  { word: 'bottom', help: 'Put it behind all others of its priority' },
  { word: 'remove', help: 'Delete it with its history and logs', isHarsh: true },
];

/** Above so many things it is asked once; what can't be taken back is always asked. */
const ASK_ABOVE = 5;
/** Targets of one request, as the API has it. */
const TARGETS_MAX = 1000;
/** Refusals of an action that are said. */
const REFUSALS_SAID_MAX = 3;
/** Messages that are shown at a time. */
const SAID_MAX = 5;

export interface Said {
  id: number;
  text: string;
  detail?: string | undefined;
  command?: string;
  isBad?: boolean;
}

export const desk = $state({
  said: [] as Said[],
  question: undefined as { title: string; text: string; command: string; word: string; answer: (yes: boolean) => void } | undefined,
});

let last = 0;

/** Says something, for a while; what went wrong stays until it is put away. */
export function say(said: Omit<Said, 'id'>): void {
  const id = ++last;
  desk.said = [...desk.said, { id, ...said }].slice(-SAID_MAX);
  if (!said.isBad) setTimeout(() => unsay(id), 6_000);
}

/** Puts a message away. */
export function unsay(id: number): void {
  desk.said = desk.said.filter((said) => said.id !== id);
}

/** Says what went wrong. */
export function complain(error: unknown, command?: string): void {
  const { message, hint } = error as { message?: string; hint?: string };
  say({ text: message ?? 'it did not work', detail: hint, isBad: true, ...(command ? { command } : {}) });
}

/** Answers the command line of an action. */
export const commandOf = (verb: string, targets: readonly string[]): string =>
  ['tessera', verb, ...targets.slice(0, 20).map(quoted), ...(targets.length > 20 ? ['…'] : [])].join(' ');

/** Asks before something is done. */
export const asked = (question: Omit<NonNullable<typeof desk.question>, 'answer'>): Promise<boolean> =>
  new Promise((done) => {
    desk.question = {
      ...question,
      answer: (yes) => {
        desk.question = undefined;
        done(yes);
      },
    };
  });

/** Acts on jobs, instances or frames, after asking where that is due; says what came of it. */
export async function act(verb: Verb, targets: string[], what: string, size = targets.length): Promise<void> {
  if (!targets.length) return;
  const command = commandOf(verb.word, targets);
  const mustAsk = size > ASK_ABOVE || ['remove', 'complete', 'fail'].includes(verb.word);
  if (mustAsk && !(await asked({ title: `${verb.word} ${what}?`, text: `${verb.help}.`, command, word: verb.word }))) return;
  let [items, instances, sent] = [0, 0, 0];
  const refused: string[] = [];
  const changed = (): string => [items && count(items, 'frame'), instances && count(instances, 'instance')].filter(Boolean).join(', ') || 'nothing';
  try {
    for (const part of parts(targets, TARGETS_MAX)) {
      const reply = await post<ActionReply>('/actions', { action: verb.word, targets: part });
      sent += part.length;
      for (const result of reply.results) {
        items += result.ok?.items ?? 0;
        instances += result.ok?.instances ?? 0;
        if (result.error) refused.push(`${result.target}: ${result.error.message}`);
      }
    }
    const isBad = refused.length > 0;
    const text = isBad ? `${verb.word}: ${refused.length} of ${targets.length} refused` : `${verb.word}: ${what}`;
    const detail = [items || instances ? `${changed()} changed` : '', ...refused.slice(0, REFUSALS_SAID_MAX)];
    say({ text, detail: detail.filter(Boolean).join('\n'), command, isBad });
  } catch (error) {
    // What an earlier request did is done: it is said, with what is left.
    if (sent) {
      const { message } = error as Error;
      say({ text: `${verb.word}: stopped after ${sent} of ${targets.length}`, detail: `${changed()} changed; ${message}`, command, isBad: true });
    } else complain(error, command);
  }
}

/** Locks or unlocks hosts, one after another. */
export async function lockHosts(hosts: string[], lock: boolean): Promise<void> {
  const verb = lock ? 'lock' : 'unlock';
  const command = commandOf(verb, hosts);
  if (!hosts.length) return;
  const text = lock ? 'They finish what they have and are given nothing.' : 'They are given work again.';
  if (hosts.length > ASK_ABOVE && !(await asked({ title: `${verb} ${hosts.length} hosts?`, text, command, word: verb }))) return;
  try {
    for (const host of hosts) await post(`/hosts/${encodeURIComponent(host)}/${verb}`);
    say({ text: `${verb}ed ${hosts.length === 1 ? hosts[0] : `${hosts.length} hosts`}`, command });
  } catch (error) {
    complain(error, command);
  }
}
