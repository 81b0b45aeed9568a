/** Page, state: which graphs of the list are shown: a search, values of metadata, and an order. */
import { computed, signal } from '@preact/signals';
import type { GraphEntry } from '../../../src/viewer/api.ts';
import type { Sort } from '../parts/table-order.ts';
import { graphs } from './opened.ts';

/** A column with more values is searched, not chosen from. */
const MOST_CHOICES = 100;

/** A column of the list of prompts that graphs can be chosen by. */
export interface Choice {
  readonly name: string;
  /** In alphabetical order, with the number of graphs that have it. */
  readonly values: readonly { readonly value: string; readonly count: number }[];
}

export const graphSearch = signal('');
/** Chosen values, by column. */
export const graphFilter = signal<Readonly<Record<string, string>>>({});
export const graphSort = signal<Sort | null>(null);

/** Of all graphs, in the order in which lists of prompts have them. */
export const metadataNames = computed<readonly string[]>(() => [
  ...new Set(graphs.value.flatMap(({ metadata }) => Object.keys(metadata))),
]);

/** The columns with more than one value and not too many. */
export const choices = computed<readonly Choice[]>(() =>
  metadataNames.value.flatMap((name) => {
    const counts = new Map<string, number>();
    for (const entry of graphs.value) {
      const value = metadataText(entry, name);
      if (value !== null) counts.set(value, (counts.get(value) ?? 0) + 1);
      if (counts.size > MOST_CHOICES) return [];
    }
    const values = [...counts].map(([value, count]) => ({ value, count }));
    const { compare } = new Intl.Collator(undefined, { numeric: true });
    return values.length < 2 ? [] : [{ name, values: values.sort((a, b) => compare(a.value, b.value)) }];
  }),
);

/** What is searched, in lower case. */
const searched = computed(
  () =>
    new Map(
      graphs.value.map((entry) => {
        const words = metadataNames.value.map((name) => metadataText(entry, name) ?? '');
        return [entry, [entry.slug, entry.prompt, entry.scan, ...words].join(' ').toLowerCase()];
      }),
    ),
);

/** Graphs that have every word of the search, and the chosen values. */
export const listedGraphs = computed<readonly GraphEntry[]>(() => {
  const words = graphSearch.value.toLowerCase().split(/\s+/).filter(Boolean);
  const filter = Object.entries(graphFilter.value);
  if (words.length === 0 && filter.length === 0) return graphs.value;
  return graphs.value.filter((entry) => {
    const all = searched.value.get(entry)!;
    return (
      words.every((word) => all.includes(word)) &&
      filter.every(([name, value]) => metadataText(entry, name) === value)
    );
  });
});

/** An empty value: all. */
export function chooseValue(name: string, value: string): void {
  const { [name]: _before, ...others } = graphFilter.value;
  graphFilter.value = value === '' ? others : { ...others, [name]: value };
}

/** Null where the list of prompts does not have it. */
export function metadataText({ metadata }: GraphEntry, name: string): string | null {
  const value = Object.hasOwn(metadata, name) ? metadata[name] : null;
  if (value === null || value === undefined) return null;
  return typeof value === 'string' ? value : JSON.stringify(value);
}
