/** A golden fixture as the engine opens it, and what it reports on the way. */
import type { EngineEvent } from '../../src/engine/request.ts';
import { openSession, type Session } from '../../src/engine/session.ts';
import { goldenPath, type Fixture } from '../support/golden.ts';

/** `folder`: where the set is, when it is not the golden one itself. */
export async function goldenSession(
  fixture: Fixture,
  set: string,
  folder: string = goldenPath(fixture, 'transcoders', set),
): Promise<Session> {
  return await openSession({
    model: goldenPath(fixture, 'model'),
    transcoders: folder,
    device: 'wasm',
    offline: true,
  });
}

/** Takes the warnings of a request. */
export function listener(): { warnings: string[]; onProgress: (event: EngineEvent) => void } {
  const warnings: string[] = [];
  return {
    warnings,
    onProgress: (event) => {
      if (event.kind === 'warning') warnings.push(event.message);
    },
  };
}
