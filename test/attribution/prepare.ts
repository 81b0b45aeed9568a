/** What an attribution computes of a prompt before its rows: the frozen pass, columns for all features, and all sources. */
import { FrozenPass } from '../../src/attribution/frozen-pass.ts';
import { Sources, type SourcesAt } from '../../src/attribution/sources.ts';
import { RowColumns } from '../../src/graph/row-columns.ts';
import type { ReplacementModel } from '../../src/replacement/replacement-model.ts';

export async function prepare(replacement: ReplacementModel, tokens: readonly number[]) {
  const { n_layers, d_model } = replacement.model.config;
  const n_pos = tokens.length;
  const pass = await FrozenPass.of(replacement, tokens, { firstPosition: replacement.ignoredPositions(tokens) });
  const columns = RowColumns.ofAll(pass.features.indices, n_layers, n_pos);
  const sources = new Sources(replacement, pass, columns);
  /** Sources by layer and position, which stay those of `sources`. */
  const all = async (): Promise<SourcesAt[][]> => {
    const found: SourcesAt[][] = [];
    for (let layer = 0; layer < n_layers; layer++) {
      found.push([]);
      for await (const block of sources.blocks(layer, 0, n_pos)) found[layer]!.push(...block.at);
    }
    return found;
  };
  return {
    pass,
    columns,
    sources,
    all,
    /** [n_layers · n_pos · d_model] */
    async errorVectors(): Promise<Float32Array> {
      await all();
      const values = new Float32Array(n_layers * n_pos * d_model);
      for (let layer = 0; layer < n_layers; layer++)
        for (let position = 0; position < n_pos; position++)
          values.set(sources.errors.at(layer, position), (layer * n_pos + position) * d_model);
      return values;
    },
    [Symbol.dispose]() {
      sources[Symbol.dispose]();
      pass[Symbol.dispose]();
    },
  };
}
