/** A child process that takes a lock, says so, and holds it until it is killed. */
import { acquireLock } from '../../../src/formats/lock.ts';

await acquireLock(process.argv[2] ?? '');
process.stdout.write('held');
setInterval(() => undefined, 1_000);
