/**
 * Features, fetched: the pages of a layer from its export files, with bounded memory. Rows of a feature lie in any order in many
 * files: examples that may be chosen are put into a file beside, and only where they lie is held (370 bytes a feature).
 */
import { join } from 'node:path';
import { BadFileError } from '../../errors.ts';
import { readGzipLines } from '../../formats/gzip-lines.ts';
import type { ExportFile } from '../../neuronpedia/exports.ts';
import {
  activationRow,
  explanationRow,
  featureRow,
  type ActivationRow,
  type Checked,
  type ExplanationRow,
  type FeatureRow,
} from '../../neuronpedia/feature-records.ts';
import type { FeatureExample, FetchedOrigin } from '../../transcoder/feature-page.ts';
import { ChosenExamples } from '../chosen-examples.ts';
import { exportPath, type ExportFolder } from './download-export.ts';
import { otherWidth } from './fetch-each.ts';
import { EXAMPLES, exampleOf, fetchedPage, rankOf, type RankedExample } from './fetched-page.ts';
import { JsonSpool } from './json-spool.ts';
import type { NewPage } from './merge-layer.ts';

/** Vectors, embeddings and statistics of neurons stand in rows as well. */
const LONGEST_LINE_BYTES = 4 * 2 ** 20;
const SPOOL_FILE = 'rows.tmp';
const NOWHERE = -1;
const MOST_EXPLANATIONS = 16;
/** Of a feature, as many as a page may need whichever of the drawn ones are among the strongest. */
const DRAWN = EXAMPLES.strongest + EXAMPLES.others;

/** Which features an export is about. */
export interface ExportSubject {
  readonly layer: number;
  /** Features of the layer. */
  readonly width: number;
  readonly origin: Omit<FetchedOrigin, 'explanations'>;
}

export interface ExportCounts {
  n_features: number;
  /** Lines that could not be used. */
  n_faults: number;
  /** Why the first of them could not. */
  firstFault: string | null;
}

/** Reads export files into a spool, and gives the pages of their features. */
export class ExportReader implements AsyncDisposable {
  readonly counts: ExportCounts = { n_features: 0, n_faults: 0, firstFault: null };
  readonly #folder: ExportFolder;
  readonly #subject: ExportSubject;
  readonly #spool: JsonSpool;
  readonly #rows: Float64Array;
  readonly #explanations = new Map<number, number[]>();
  readonly #strongest: ChosenExamples;
  readonly #drawn: ChosenExamples;
  /** Directions of users have numbers beyond the dictionary; what is said about them is left out. */
  readonly #vectors = new Set<number>();
  #n_used = 0;

  private constructor(folder: ExportFolder, subject: ExportSubject, spool: JsonSpool) {
    this.#folder = folder;
    this.#subject = subject;
    this.#spool = spool;
    this.#rows = new Float64Array(subject.width).fill(NOWHERE);
    this.#strongest = new ChosenExamples(subject.width, EXAMPLES.strongest, 'strength');
    this.#drawn = new ChosenExamples(subject.width, DRAWN, 'chance');
  }

  static async open(folder: ExportFolder, subject: ExportSubject): Promise<ExportReader> {
    return new ExportReader(folder, subject, await JsonSpool.create(join(folder.path, SPOOL_FILE)));
  }

  /**
   * Features first. A line that cannot be used is counted. Throws `BadFileError` for a file that is damaged, has no line that can be used,
   * or is of a dictionary of another width.
   */
  async read(file: ExportFile, signal?: AbortSignal): Promise<void> {
    const path = exportPath(this.#folder, file);
    const usedBefore = this.#n_used;
    let n_lines = 0;
    for await (const lines of readGzipLines(path, { longestLineBytes: LONGEST_LINE_BYTES }, signal)) {
      for (const line of lines) {
        n_lines++;
        const fault = 'fault' in line ? line.fault : await this.#take(file, line.value);
        if (fault !== null) this.#fault(`${file.path}, line ${line.number}: ${fault}`);
      }
    }
    if (n_lines > 0 && this.#n_used === usedBefore) throw unusable(file, n_lines, this.counts.firstFault);
  }

  /** By rising feature; of those of which anything was read. */
  async *pages(signal?: AbortSignal): AsyncGenerator<NewPage> {
    await this.#spool.flush();
    for (let feature = 0; feature < this.#subject.width; feature++) {
      signal?.throwIfAborted();
      const at = this.#rows[feature]!;
      const row = at === NOWHERE ? null : ((await this.#spool.read(at)) as FeatureRow);
      const examples = await this.#examples(feature);
      const explanations: ExplanationRow[] = [];
      for (const place of this.#explanations.get(feature) ?? []) {
        explanations.push((await this.#spool.read(place)) as ExplanationRow);
      }
      if (row === null && examples.length === 0 && explanations.length === 0) continue;
      this.counts.n_features++;
      yield { feature, page: fetchedPage(feature, row, examples, explanations, this.#subject.origin) };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#spool[Symbol.asyncDispose]();
  }

  /** Null when the row was used or need not be; else why it cannot be. */
  async #take(file: ExportFile, value: unknown): Promise<string | null> {
    const other = this.#otherSource(value);
    if (other !== null) return other;
    switch (file.kind) {
      case 'features':
        return await this.#with(featureRow(value), (row) => this.#feature(row));
      case 'explanations':
        return await this.#with(explanationRow(value), (row) => this.#explanation(row));
      case 'activations':
        return await this.#with(activationRow(value), (row) => this.#activation(row));
    }
  }

  async #with<T extends { readonly index: number }>(
    checked: Checked<T>,
    use: (row: T) => Promise<string | null>,
  ): Promise<string | null> {
    if ('fault' in checked) return checked.fault;
    const { index } = checked.row;
    if (this.#vectors.has(index)) {
      this.#n_used++;
      return null;
    }
    if (index >= this.#subject.width && !('is_vector' in checked.row))
      return `feature ${index} is beyond the dictionary`;
    const fault = await use(checked.row);
    if (fault === null) this.#n_used++;
    return fault;
  }

  async #feature(row: FeatureRow): Promise<string | null> {
    const { layer, width, origin } = this.#subject;
    if (row.is_vector) {
      this.#vectors.add(row.index);
      return null;
    }
    if (row.index >= width) throw otherWidth(origin.source, `a feature ${row.index}`, layer, width);
    if (this.#rows[row.index] !== NOWHERE) return `feature ${row.index} stands there twice`;
    this.#rows[row.index] = await this.#spool.append(row);
    return null;
  }

  async #explanation(row: ExplanationRow): Promise<string | null> {
    const places = this.#explanations.get(row.index) ?? [];
    if (places.length < MOST_EXPLANATIONS) places.push(await this.#spool.append(row));
    this.#explanations.set(row.index, places);
    return null;
  }

  async #activation(row: ActivationRow): Promise<string | null> {
    const rank = rankOf(this.#subject.layer, row);
    if (rank === null) return null;
    const { strength, draw } = rank;
    const isStrong = this.#strongest.takes(row.index, strength);
    const isDrawn = this.#drawn.takes(row.index, draw);
    if (!isStrong && !isDrawn) return null;
    const place = await this.#spool.append({ strength, draw, example: exampleOf(row) });
    if (isStrong) this.#strongest.add(row.index, strength, strength, place);
    if (isDrawn) this.#drawn.add(row.index, draw, strength, place);
    return null;
  }

  async #examples(feature: number): Promise<RankedExample[]> {
    const places = new Set(
      [...this.#strongest.of(feature), ...this.#drawn.of(feature)].map(({ offset }) => offset),
    );
    const examples: RankedExample[] = [];
    for (const place of [...places].sort((a, b) => a - b)) {
      examples.push(
        (await this.#spool.read(place)) as { strength: number; draw: number; example: FeatureExample },
      );
    }
    return examples;
  }

  #otherSource(value: unknown): string | null {
    const { modelId, layer } = (value ?? {}) as { modelId?: unknown; layer?: unknown };
    const [model, source] = this.#subject.origin.source.split('/');
    const isOther = (found: unknown, expected: string | undefined): boolean =>
      typeof found === 'string' && found !== expected;
    return isOther(modelId, model) || isOther(layer, source) ? 'it is about another source' : null;
  }

  #fault(why: string): void {
    this.counts.n_faults++;
    this.counts.firstFault ??= why;
  }
}

function unusable(file: ExportFile, n_lines: number, firstFault: string | null): BadFileError {
  return new BadFileError({
    code: 'bad_export',
    message: `none of ${n_lines} lines of ${file.path} can be used; the first fault: ${firstFault ?? 'none'}`,
    hint: 'It may be of a newer form than this version reads. The features that are needed can be fetched one by one.',
  });
}
