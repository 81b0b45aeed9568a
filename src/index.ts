/**
 * The library. It has the verbs of the command line, with the same requests and results: a result is what `--json` prints
 * as `data`. For several questions to one model, open a session once and use the verbs that take it.
 */
export { load } from './engine/load.ts';
export { configure } from './engine/configure.ts';
export { run, runIn } from './engine/run.ts';
export { inspect } from './engine/inspect.ts';
export { openSession, type Session, type SessionOptions } from './engine/session.ts';
export { setUpTensorflow as setup, type SetupOptions, type SetupReport } from './backend/install.ts';
export { examine as doctor } from './backend/doctor.ts';
export type * from './engine/requests.ts';
export type * from './engine/results.ts';
export {
  BadFileError,
  ExhaustedError,
  EXIT,
  ExpectationError,
  NetworkError,
  NotFoundError,
  TracerError,
  UsageError,
} from './errors.ts';
