// Where the page is. Every view has an address; what it is about is in the path, how it is looked at behind the `?`.

export type Route =
  | { name: 'home' | 'login' | 'jobs' | 'errors' | 'hosts' | 'timeline' | 'trends' | 'submit' | 'access' | 'nothing' }
  | { name: 'admin'; tab: Tab }
  | { name: 'job'; job: number }
  | { name: 'frame'; job: number; item: number }
  | { name: 'host'; host: string };

const TABS = ['resources', 'workers', 'audit'] as const;
type Tab = (typeof TABS)[number];

const number = (text: string | undefined): number | undefined => (text && /^\d{1,15}$/.test(text) ? Number(text) : undefined);

/** Reads a path. */
export function routeOf(path: string): Route {
  const parts = path.split('/').filter(Boolean);
  const [first, second, third, fourth] = parts;
  if (!first) return { name: 'home' };
  const tab = first === 'admin' && parts.length <= 2 ? TABS.find((it) => it === (second ?? 'resources')) : undefined;
  if (tab) return { name: 'admin', tab };
  if (parts.length === 1) {
    const name = (['login', 'jobs', 'errors', 'hosts', 'timeline', 'trends', 'submit', 'access'] as const).find((it) => it === first);
    return { name: name ?? 'nothing' };
  }
  const job = first === 'jobs' ? number(second) : undefined;
  const item = third === 'items' ? number(fourth) : undefined;
  if (job !== undefined && parts.length === 2) return { name: 'job', job };
  if (job !== undefined && item !== undefined && parts.length === 4) return { name: 'frame', job, item };
  if (first === 'hosts' && second && parts.length === 2) {
    try {
      return { name: 'host', host: decodeURIComponent(second) };
    } catch {
      return { name: 'nothing' };
    }
  }
  return { name: 'nothing' };
}

export const place = $state({ path: location.pathname, search: location.search });

function look(): void {
  place.path = location.pathname;
  place.search = location.search;
}

/** Goes to an address of this page. */
export function go(to: string, replace = false): void {
  history[replace ? 'replaceState' : 'pushState'](null, '', to);
  look();
  if (!replace) window.scrollTo(0, 0);
}

/** Answers a value behind the `?`. */
export const param = (name: string): string => new URLSearchParams(place.search).get(name) ?? '';

/** Changes values behind the `?`; empty ones go. */
export function setParams(of: Record<string, string>): void {
  const all = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(of)) {
    if (value) all.set(name, value);
    else all.delete(name);
  }
  const text = all.toString();
  go(location.pathname + (text && `?${text}`), true);
}

/** Has links within the page change the view only. */
export function begin(): void {
  addEventListener('popstate', look);
  addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}

export const hrefs = {
  job: (job: number): string => `/jobs/${job}`,
  frame: (job: number, item: number): string => `/jobs/${job}/items/${item}`,
  host: (host: string): string => `/hosts/${encodeURIComponent(host)}`,
};
