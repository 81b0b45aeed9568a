/** What `tracer doctor` finds, and what it must never show. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { examine } from '../../src/backend/doctor.ts';
import { environment, scratchFolder } from '../support/scratch.ts';

describe('the doctor', () => {
  it('finds wasm working everywhere, and reports plain data', async () => {
    const report = await examine();
    expect(report.works).toBe(true);
    expect(report.backends.map(({ device }) => device)).toEqual(['cuda', 'webgpu', 'cpu', 'wasm']);
    expect(report.backends[3]).toMatchObject({ ok: true, reason: null });
    for (const { ok, reason } of report.backends) expect(reason === null).toBe(ok);
    const { engines } = JSON.parse(readFileSync('package.json', 'utf8')) as { engines: { node: string } };
    expect(report.node).toMatchObject({ ok: true, needed: engines.node });
    expect(report.memory.available_bytes).toBeGreaterThan(0);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  it('lists the adapters of WebGPU, or says why there is none', async () => {
    const { webgpu, backends } = await examine();
    const backend = backends.find(({ device }) => device === 'webgpu')!;
    expect(webgpu === null).toBe(!backend.ok);
    if (webgpu === null) {
      expect(backend).toMatchObject({
        reason: expect.stringMatching(/adapter/),
        hint: expect.stringMatching(/cpu/),
      });
      return;
    }
    expect(webgpu.adapters.filter(({ is_taken }) => is_taken)).toHaveLength(1);
    expect(webgpu.adapters[0]!.max_binding_bytes).toBeGreaterThanOrEqual(2 ** 27); // what WebGPU promises
    expect(webgpu.product_gflops).toBeGreaterThan(0);
  });

  it('says where a token was found and never shows it', async () => {
    using _token = environment({ HF_TOKEN: 'hf_veryMuchASecret', HF_HUB_DISABLE_IMPLICIT_TOKEN: undefined });
    const report = await examine();
    expect(report.token).toEqual({ present: true, source: 'HF_TOKEN' });
    expect(JSON.stringify(report)).not.toContain('hf_veryMuchASecret');
  });

  it('says why a device is refused and what would help', async () => {
    using scratch = scratchFolder();
    using _data = environment({ TRACER_DATA_DIR: scratch.path });
    const { backends, works, folders } = await examine();
    expect(backends[2]).toMatchObject({
      device: 'cpu',
      ok: false,
      reason: expect.stringContaining('not set up'),
      hint: expect.stringContaining('tracer setup'),
    });
    expect(works).toBe(true);
    expect(folders[0]).toMatchObject({ name: 'data', path: scratch.path, exists: true, bytes: 0 });
  });

  it('lists settings that other commands would refuse, instead of failing itself', async () => {
    using _endpoint = environment({ HF_ENDPOINT: 'not an address' });
    const { problems } = await examine();
    expect(problems).toEqual([expect.stringContaining('HF_ENDPOINT')]);
  });

  it('does not make the folders that it looks for', async () => {
    using scratch = scratchFolder();
    const { folders } = await examine({ cacheDir: `${scratch.path}/not/there` });
    expect(folders.find(({ name }) => name === 'hub_cache')).toMatchObject({
      exists: false,
      bytes: 0,
      writable: true,
    });
  });
});
