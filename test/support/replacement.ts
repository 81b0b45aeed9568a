/** A loaded golden fixture: replacement model and tokenizer. */
import type { ReplacementModel as Model } from '../../src/replacement/replacement-model.ts';
import { MemoryBudget } from '../../src/backend/budget.ts';
import { openCheckpoint } from '../../src/model/checkpoint.ts';
import { loadTransformer } from '../../src/model/load.ts';
import { ReplacementModel } from '../../src/replacement/replacement-model.ts';
import { loadTokenizer } from '../../src/tokenizer/load.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { openSet, readSetConfig } from '../../src/transcoder/open.ts';
import { loadSet } from '../../src/transcoder/transcoder-set.ts';
import { openBackend, type TestDevice } from './backends.ts';
import { folder, goldenPath, type Fixture } from './golden.ts';

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
  const backend = await openBackend(device);
  const checkpoint = await openCheckpoint(folder(goldenPath(fixture, 'model')));
  const files = folder(goldenPath(fixture, 'transcoders', setName));
  const opened = await openSet(files, await readSetConfig(files), checkpoint.config);
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
