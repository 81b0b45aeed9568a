/** A loaded golden fixture: replacement model and tokenizer. */
import type { ReplacementModel as Model } from '../../src/replacement/replacement-model.ts';
import { MemoryBudget } from '../../src/backend/budget.ts';
import { openCheckpoint } from '../../src/model/checkpoint.ts';
import { loadTransformer } from '../../src/model/load.ts';
import { ReplacementModel } from '../../src/replacement/replacement-model.ts';
import { loadTokenizer } from '../../src/tokenizer/load.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { openSet, type OpenSetOptions } from '../../src/transcoder/open.ts';
import { describeSet } from '../../src/transcoder/recognise.ts';
import { loadSet } from '../../src/transcoder/transcoder-set.ts';
import { openBackend, type TestDevice } from './backends.ts';
import { folder, goldenPath, setFolder, type Fixture } from './golden.ts';

export interface LoadedFixture extends Disposable {
  readonly replacement: Model;
  readonly tokenizer: Tokenizer;
}

export async function loadFixture(
  device: TestDevice,
  fixture: Fixture,
  setName: string,
  budget: MemoryBudget = new MemoryBudget(),
): Promise<LoadedFixture> {
  return await loadSubject(device, fixture, goldenPath(fixture, 'transcoders', setName), { budget });
}

/** The model of a fixture with the set in a folder. */
export async function loadSubject(
  device: TestDevice,
  fixture: Fixture,
  set: string,
  { budget = new MemoryBudget(), ...options }: OpenSetOptions & { readonly budget?: MemoryBudget } = {},
): Promise<LoadedFixture> {
  const backend = await openBackend(device);
  const checkpoint = await openCheckpoint(folder(goldenPath(fixture, 'model')));
  const files = setFolder(set);
  const opened = await openSet(files, await describeSet(files), checkpoint.config, options);
  const model = await loadTransformer(backend, checkpoint, { budget });
  const replacement = new ReplacementModel(model, await loadSet(backend, opened, { budget }), budget);
  const tokenizer = await loadTokenizer({
    tokenizerJson: goldenPath(fixture, 'model', 'tokenizer.json'),
    tokenizerConfig: goldenPath(fixture, 'model', 'tokenizer_config.json'),
    specialTokensMap: goldenPath(fixture, 'model', 'special_tokens_map.json'),
  });
  return {
    replacement,
    tokenizer,
    [Symbol.dispose]() {
      replacement[Symbol.dispose]();
      opened[Symbol.dispose]();
      checkpoint[Symbol.dispose]();
    },
  };
}
