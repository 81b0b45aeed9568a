/** `npm run evaluate:embedded`: measures the shipped files, prints results beside targets, and writes evaluation.json. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readFacts } from './corpus/facts.ts';
import { judge } from './measures/targets.ts';
import { evaluate } from './measures/evaluate.ts';

const { values } = parseArgs({ options: { folder: { type: 'string', default: 'configs/embedded' } } });
const { folder } = values;
const evaluation = await evaluate(readFacts('training'), {
  model: join(folder, 'model'),
  transcoders: join(folder, 'transcoders'),
});
for (const { name, found, wanted, isMet } of judge(evaluation)) {
  console.log(`${isMet ? 'met   ' : 'missed'} ${name}: ${found} (wanted ${wanted})`);
}
console.log(JSON.stringify(evaluation, null, 2));
await writeFile(join(folder, 'evaluation.json'), `${JSON.stringify(evaluation, null, 2)}\n`);
