/** Study, metadata: the other columns of the list of prompts as columns of `graphs`, with the type that all their values have. */
import type { JsonValue } from '../graph/graph.ts';
import { METADATA_PREFIX, type ColumnType } from './tables.ts';

export interface MetadataColumn {
  /** In the list. */
  readonly name: string;
  /** In the table. */
  readonly column: string;
  readonly type: Extract<ColumnType, 'BIGINT' | 'DOUBLE' | 'BOOLEAN' | 'VARCHAR'>;
  /** Lists, objects and mixed types are stored as JSON. */
  readonly json: boolean;
}

type Metadata = Readonly<Record<string, JsonValue>>;
export type MetadataValue = bigint | number | boolean | string | null;

/**
 * The columns of all rows, by name. The table's name of a column is the list's behind `meta_`; since SQL does not tell `Group` from
 * `group`, a second one gets a number.
 */
export function metadataColumns(rows: Iterable<Metadata>): MetadataColumn[] {
  const kinds = new Map<string, Set<Kind>>();
  for (const row of rows) {
    for (const [name, value] of Object.entries(row)) {
      const known = kinds.get(name) ?? new Set<Kind>();
      if (value !== null) known.add(kindOf(value));
      kinds.set(name, known);
    }
  }
  const taken = new Set<string>();
  return [...kinds.keys()].sort().map((name) => {
    const column = freeName(METADATA_PREFIX + name, taken);
    taken.add(column.toLowerCase());
    return { name, column, ...typeOf(kinds.get(name)!) };
  });
}

/** The value of a row for a column; null where the row does not have it. */
export function metadataValue(row: Metadata, { name, type, json }: MetadataColumn): MetadataValue {
  const value = Object.hasOwn(row, name) ? row[name]! : null;
  if (value === null) return null;
  if (json) return JSON.stringify(value);
  if (type === 'BIGINT') return BigInt(value as number);
  return value as number | boolean | string;
}

type Kind = 'whole' | 'number' | 'boolean' | 'text' | 'other';

function kindOf(value: JsonValue): Kind {
  switch (typeof value) {
    case 'boolean':
      return 'boolean';
    case 'string':
      return 'text';
    case 'number':
      return Number.isSafeInteger(value) ? 'whole' : 'number';
    default:
      return 'other';
  }
}

function typeOf(kinds: ReadonlySet<Kind>): Pick<MetadataColumn, 'type' | 'json'> {
  const only = (...allowed: Kind[]): boolean => [...kinds].every((kind) => allowed.includes(kind));
  if (kinds.size === 0 || only('text')) return { type: 'VARCHAR', json: false };
  if (only('boolean')) return { type: 'BOOLEAN', json: false };
  if (only('whole')) return { type: 'BIGINT', json: false };
  if (only('whole', 'number')) return { type: 'DOUBLE', json: false };
  return { type: 'VARCHAR', json: true };
}

function freeName(name: string, taken: ReadonlySet<string>): string {
  if (!taken.has(name.toLowerCase())) return name;
  for (let count = 2; ; count++) {
    const numbered = `${name}_${count}`;
    if (!taken.has(numbered.toLowerCase())) return numbered;
  }
}
