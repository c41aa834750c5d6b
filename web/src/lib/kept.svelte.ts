// How somebody likes the list of jobs: which columns, and views of their own. Kept in this browser.
import { COLUMNS, FIXED, readKept, VIEWS_MAX, type View } from './columns';

/** Under what it is kept. */
const KEY = 'jobs';

function load(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}
export const kept = $state(readKept(load()));

function keep(): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // A browser that keeps nothing shows it for now.
  }
}

/** Shows these columns from now on. */
export function show(columns: readonly string[]): void {
  kept.columns = COLUMNS.map((it) => it.key).filter((key) => FIXED.includes(key) || columns.includes(key));
  keep();
}

/** Keeps a view under its name, in place of one of the same name; answers whether there was room. */
export function saveView(view: View): boolean {
  const others = kept.views.filter((it) => it.name !== view.name);
  if (others.length >= VIEWS_MAX) return false;
  kept.views = [...others, view];
  keep();
  return true;
}

/** Forgets a view. */
export function forgetView(name: string): void {
  kept.views = kept.views.filter((it) => it.name !== name);
  keep();
}
