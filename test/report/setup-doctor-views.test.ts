import { describe, expect, it } from '@jest/globals';
import type { DoctorReport } from '../../src/backend/doctor.ts';
import { doctorView } from '../../src/report/doctor-view.ts';
import { setupView } from '../../src/report/setup-view.ts';
import { lineOf, plain } from './shown.ts';

describe('the view of setup', () => {
  it('says what is linked, or that wasm remains', () => {
    const linked = { linked: true, device: 'cpu', folder: '/data', version: 'TensorFlow 2.21.0', kernel: 'avx2', already_set_up: true, seconds: 1.4 } as const;
    expect(lineOf(setupView(linked, plain), 'linked')).toEqual(['linked', 'TensorFlow 2.21.0']);
    expect(lineOf(setupView(linked, plain), 'products')).toEqual(['products', 'on stored weights, avx2']);
    expect(lineOf(setupView({ ...linked, kernel: null }, plain), 'products')).toEqual(['products', "TensorFlow's own"]);
    const refused = { linked: false, device: 'cpu', code: 'python_missing', message: 'python3 was not found', hint: 'Install it.' } as const;
    const text = setupView(refused, plain);
    expect(text).toContain('wasm');
    expect(text).toContain('python3 was not found\nInstall it.');
  }); // prettier-ignore
});

describe('the view of doctor', () => {
  const report: DoctorReport = {
    works: true,
    node: { version: 'v20.20.2', needed: '>=20', ok: true },
    system: { platform: 'linux', release: '6.1', arch: 'x64', glibc: '2.36' },
    processor: { model: 'Some CPU', cores: 2, bfloat16_instructions: [] },
    memory: { total_bytes: 2 ** 35, available_bytes: 2 ** 34, limit_bytes: 2 ** 33 },
    backends: [
      {
        device: 'cuda',
        ok: false,
        version: null,
        kernel: null,
        reason: 'no driver was found',
        hint: 'Install it.',
      },
      { device: 'cpu', ok: true, version: 'TensorFlow 2.21.0', kernel: 'amx', reason: null, hint: null },
      { device: 'wasm', ok: true, version: 'TF.js wasm 4.22.0', kernel: null, reason: null, hint: null },
    ],
    webgpu: null,
    cuda: {
      driver_version: null,
      driver_library: null,
      libraries: [],
      missing_libraries: ['libcudart.so.12'],
      cards: [
        { index: 1, name: 'NVIDIA L4', uuid: 'GPU-bb', total_bytes: 24 * 2 ** 30, free_bytes: 20 * 2 ** 30 },
      ],
    },
    tools: [
      { name: 'python', program: 'python3', version: 'pip 23' },
      { name: 'compiler', program: null, version: null },
      { name: 'npm', program: 'npm', version: '10.8.2' },
    ],
    folders: [{ name: 'data', path: '/data', exists: false, writable: false, bytes: 0, free_bytes: 2 ** 30 }],
    token: { present: true, source: 'HF_TOKEN' },
    problems: ['the folder /data may not be written'],
  };

  it('gives the reason of each refusal and what would help', () => {
    const text = doctorView(report, plain);
    expect(lineOf(text, 'cuda')).toEqual(['cuda', 'no', 'no driver was found']);
    expect(lineOf(text, 'Install it.')).toEqual(['Install it.']);
    expect(lineOf(text, 'cpu')).toEqual(['cpu', 'yes', 'TensorFlow 2.21.0, amx products']);
    expect(lineOf(text, 'cuda:1')).toEqual(['cuda:1', 'NVIDIA L4, 20.0 GiB free of 24.0 GiB']);
    expect(lineOf(text, 'wasm')).toEqual(['wasm', 'yes', 'TF.js wasm 4.22.0']);
    expect(lineOf(text, 'Python with pip')).toEqual(['Python with pip', 'python3 (pip 23)']);
    expect(lineOf(text, 'C++ compiler')).toEqual(['C++ compiler', 'not found']);
    expect(lineOf(text, 'npm')).toEqual(['npm', 'npm (10.8.2)']);
    expect(lineOf(text, 'memory')).toEqual(['memory', '16.0 GiB free of 32.0 GiB, limited to 8.00 GiB']);
    expect(lineOf(text, 'Hugging Face token')).toEqual(['Hugging Face token', 'present, from HF_TOKEN']);
    expect(text).toContain('- the folder /data may not be written');
    expect(text).toMatch(/tracer works here, with cpu, wasm\.$/);
  });

  it('lists the adapters of WebGPU with the rate of the one that is taken', () => {
    const sizes = { max_buffer_bytes: 2 ** 31, max_binding_bytes: 2 ** 30, max_workgroup_bytes: 2 ** 15 };
    const adapter = (name: string, is_software: boolean) => ({
      ...{ name, vendor: 'v', architecture: 'a', ...sizes },
      ...{ is_software, is_taken: !is_software },
    });
    const adapters = [adapter('Some card', false), adapter('SwiftShader', true)];
    const text = doctorView({ ...report, webgpu: { adapters, product_gflops: 1234.5 } }, plain);
    expect(lineOf(text, 'Some card')).toEqual([
      ...['Some card', 'graphics card', '2.00 GiB', '1.00 GiB', '1200 GFLOP/s'],
    ]);
    expect(lineOf(text, 'SwiftShader').slice(0, 4)).toEqual([
      'SwiftShader',
      'software',
      '2.00 GiB',
      '1.00 GiB',
    ]);
    expect(doctorView(report, plain)).not.toContain('adapter');
  });

  it('says so when nothing works', () => {
    const refused = report.backends.map((backend) => ({ ...backend, ok: false }));
    expect(doctorView({ ...report, works: false, backends: refused }, plain)).toMatch(/Nothing works here/);
  });
});
