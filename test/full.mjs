/**
 * `npm run test:full`: every test with all of its cases (`npm test` takes a few of each kind) and each command in a process of its
 * own, then the golden data once more with each way to multiply (`TRACER_KERNEL`) and on WebGPU. Instructions that the processor lacks
 * are replaced by the best that it has, so such a run says nothing new.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const RUN = join(import.meta.dirname, 'run.mjs');
const KERNELS = ['tensorflow', 'card', 'plain', 'avx2', 'avx512', 'amx'];
const GOLDEN = [
  'test/cli/golden',
  'test/cli/attribute.test',
  'test/attribution/golden',
  'test/model/forward',
  'test/model/families',
  'test/attribution/families',
];

/** In software (SwiftShader) about half an hour. */
const GOLDEN_ON_WEBGPU = [
  'test/backend',
  'test/model/forward',
  'test/model/families',
  'test/transcoder/golden',
  'test/attribution/golden',
  'test/attribution/families',
  'test/attribution/webgpu',
  'test/intervention/golden',
  'test/generation/golden',
];

function run(args, env = {}) {
  return spawnSync(process.execPath, [RUN, ...args], { stdio: 'inherit', env: { ...process.env, ...env } })
    .status;
}

let failed = run([], { TRACER_TEST_FULL: '1' }) !== 0;
for (const kernel of KERNELS) {
  console.log(`\nGolden data with TRACER_KERNEL=${kernel}`);
  failed = run(GOLDEN, { TRACER_KERNEL: kernel }) !== 0 || failed;
}
console.log('\nGolden data and the contract of backends on WebGPU');
failed = run(GOLDEN_ON_WEBGPU, { DEVICE: 'webgpu', TRACER_TEST_FULL: '1' }) !== 0 || failed;
process.exitCode = failed ? 1 : 0;
