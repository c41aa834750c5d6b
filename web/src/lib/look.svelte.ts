// How the page looks: dark, light or as the system has it; roomy or dense. Kept in this browser.

const SCHEMES = ['auto', 'dark', 'light'] as const;
type Scheme = (typeof SCHEMES)[number];

const read = (key: string): string | null => {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
};
const kept = read('scheme');

export const look = $state({ scheme: (SCHEMES.find((it) => it === kept) ?? 'auto') as Scheme, dense: read('dense') === '1' });

function show(): void {
  document.documentElement.dataset['scheme'] = look.scheme;
  document.documentElement.dataset['dense'] = look.dense ? '1' : '0';
  try {
    localStorage.setItem('scheme', look.scheme);
    localStorage.setItem('dense', look.dense ? '1' : '0');
  } catch {
    // A browser that keeps nothing shows it for now.
  }
  dispatchEvent(new Event('tessera-scheme'));
}

/** Goes to the next scheme. */
export function nextScheme(): void {
  look.scheme = SCHEMES[(SCHEMES.indexOf(look.scheme) + 1) % SCHEMES.length] ?? 'auto';
  show();
}

/** Makes rows lower or higher. */
export function toggleDense(): void {
  look.dense = !look.dense;
  show();
}

show();

/** Says how wide a box is that something is drawn in, whenever that changes, and that the scheme of colours did: what is drawn has to be
 * drawn anew then. For an effect: answers what ends it. */
export function drawnIn(box: Element | undefined, resized: (width: number) => void, turned: () => void): (() => void) | undefined {
  if (!box) return undefined;
  const watch = new ResizeObserver(([entry]) => resized(Math.floor(entry?.contentRect.width ?? 0)));
  watch.observe(box);
  const look = matchMedia('(prefers-color-scheme: light)');
  look.addEventListener('change', turned);
  addEventListener('tessera-scheme', turned);
  return () => {
    watch.disconnect();
    look.removeEventListener('change', turned);
    removeEventListener('tessera-scheme', turned);
  };
}
