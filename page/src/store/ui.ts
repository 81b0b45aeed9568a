/** Page, state of the user interface: theme, panel sizes, open tabs and dialog. Stored by the browser, not with the graph. */
import { computed, effect, signal } from '@preact/signals';

export type Theme = 'light' | 'dark';
export type ThemeChoice = Theme | 'system';
export type UpperTab = 'connections' | 'nodes';
export type LowerTab = 'feature' | 'try' | 'about' | 'attention';
export type Dialog = 'graphs' | 'help' | 'name' | 'export';

const STORAGE_KEY = 'tracer.looks';
const SPLIT_LIMITS = { least: 0.2, most: 0.8 } as const;

interface Kept {
  readonly theme: ThemeChoice;
  /** Share of the width that the graph takes, and of the height that the upper row takes. */
  readonly columns: number;
  readonly rows: number;
}

const kept = signal<Kept>({ theme: 'system', columns: 0.58, rows: 0.56, ...readKept() });

export const upperTab = signal<UpperTab>('connections');
export const lowerTab = signal<LowerTab>('feature');
export const dialog = signal<Dialog | null>(null);

const prefersDark = window.matchMedia('(prefers-color-scheme: dark)');
const systemTheme = signal<Theme>(prefersDark.matches ? 'dark' : 'light');
prefersDark.addEventListener('change', ({ matches }) => (systemTheme.value = matches ? 'dark' : 'light'));

export const theme = computed<Theme>(() =>
  kept.value.theme === 'system' ? systemTheme.value : kept.value.theme,
);
export const split = computed(() => ({ columns: kept.value.columns, rows: kept.value.rows }));

export function toggleTheme(): void {
  keep({ theme: theme.value === 'dark' ? 'light' : 'dark' });
}

export function setSplit(side: 'columns' | 'rows', share: number): void {
  keep({ [side]: Math.min(SPLIT_LIMITS.most, Math.max(SPLIT_LIMITS.least, share)) });
}

/** Announcement for screen readers; with the counter, equal texts are repeated. */
export const announcement = signal({ text: '', count: 0 });

export function announce(text: string): void {
  announcement.value = { text, count: announcement.value.count + 1 };
}

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});

function keep(change: Partial<Kept>): void {
  kept.value = { ...kept.value, ...change };
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(kept.value));
  } catch {
    // Without storage (private window, page opened from a file) the settings are lost when the page is closed.
  }
}

function readKept(): Partial<Kept> {
  try {
    return JSON.parse(localStorage.getItem(STORAGE_KEY) ?? '{}') as Partial<Kept>;
  } catch {
    return {}; // as above
  }
}
