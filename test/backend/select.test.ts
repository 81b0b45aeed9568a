/** Which backend a choice of device leads to, and what is said where it leads to none. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { NotFoundError, UsageError } from '../../src/errors.ts';
import {
  ADDON_FILE,
  BINDING_PACKAGE_FOLDER,
  GATE_FILE,
  tensorflowFolder,
} from '../../src/backend/install/folder.ts';
import { selectBackend } from '../../src/backend/select.ts';
import { scratchFolder } from '../support/scratch.ts';

async function refusal(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error('it was not refused');
}

describe('the choice of a device', () => {
  it('takes wasm where nothing is set up, and says why the better ones were not taken', async () => {
    using scratch = scratchFolder();
    const { backend, refused } = await selectBackend({
      device: 'auto',
      arithmetic: 'float32',
      dataDir: scratch.path,
    });
    expect(backend.device).toBe('wasm');
    expect(refused.map(({ device }) => device)).toEqual(['cuda', 'webgpu', 'cpu']);
    expect(refused[2]).toMatchObject({
      reason: expect.stringContaining('TensorFlow for cpu is not set up'),
      hint: expect.stringContaining('tracer setup --device cpu'),
    });
  });

  it('refuses a named device that is not set up, and names the command that sets it up', async () => {
    using scratch = scratchFolder();
    const error = await refusal(
      selectBackend({ device: 'cpu', arithmetic: 'float32', dataDir: scratch.path }),
    );
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({
      code: 'tensorflow_missing',
      exitCode: 3,
      hint: expect.stringContaining('tracer setup --device cpu'),
    });
  });

  it('says what the system says of a library that does not load', async () => {
    using scratch = scratchFolder();
    const folder = tensorflowFolder('cpu', scratch.path);
    mkdirSync(folder, { recursive: true });
    for (const name of [ADDON_FILE, GATE_FILE]) writeFileSync(join(folder, name), 'no library');
    const open = () => selectBackend({ device: 'cpu', arithmetic: 'float32', dataDir: scratch.path });
    expect(await refusal(open())).toMatchObject({
      code: 'tensorflow_missing',
      message: expect.stringContaining('is of an older version of tracer'),
      hint: expect.stringContaining('tracer setup --device cpu'),
    });
    mkdirSync(join(folder, BINDING_PACKAGE_FOLDER));
    const error = await refusal(open());
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ code: 'tensorflow_unusable', exitCode: 3 });
    expect(String(error)).toMatch(/file too short|invalid ELF header/);
  });

  it.each(['wasm', 'webgpu'] as const)(
    'refuses bfloat16 arithmetic on %s as a matter of usage',
    async (device) => {
      const error = await refusal(selectBackend({ device, arithmetic: 'bfloat16' }));
      expect(error).toBeInstanceOf(UsageError);
      expect(error).toMatchObject({ code: 'dtype_unsupported', exitCode: 2 });
    },
  );

  it('does not fall back to float32 where bfloat16 was asked for and no device has it', async () => {
    using scratch = scratchFolder();
    const error = await refusal(
      selectBackend({ device: 'auto', arithmetic: 'bfloat16', dataDir: scratch.path }),
    );
    expect(error).toBeInstanceOf(UsageError);
    expect(String(error)).toMatch(/cuda: .*webgpu: .*cpu: .*wasm: /s);
  });
});
