/** `npm run train:embedded`: from the facts to the shipped files. */
// Registers the gradients of kernels, which tfjs-core does not.
import '@tensorflow/tfjs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { selectBackend } from '../src/backend/select.ts';
import { ship } from './ship.ts';
import { readFacts } from './corpus/facts.ts';
import { prepare } from './corpus/prepare.ts';
import { writePages } from './features.ts';
import { jointStep, modelStep, startModel, transcoderStep, type Run } from './steps.ts';

const { values } = parseArgs({
  options: {
    resume: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
    'steps-scale': { type: 'string', default: '1' },
    folder: { type: 'string', default: 'training/run' },
    output: { type: 'string', default: 'configs/embedded' },
  },
});
const folder = values.folder;
if (!values.resume) await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
const seed = Number(values.seed);
const prepared = await prepare(readFacts('training'), join(folder, 'tokenizer'));
const { backend } = await selectBackend({ device: 'auto', arithmetic: 'float32' });
console.log(`Device ${backend.device} (${backend.version})`);
const run: Run = { folder, seed, stepsScale: Number(values['steps-scale']), prepared };
const { config, parameters } = startModel(run);
await modelStep(run, config, parameters);
const layers = await transcoderStep(run, config, parameters);
await jointStep(run, config, parameters, layers);
await ship(run, config, parameters, layers, values.output);
const n = await writePages(prepared.facts, values.output);
console.log(`${n} features with examples. Next: npm run evaluate:embedded`);
