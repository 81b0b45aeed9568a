/** Tries a device in a process of its own: a crash of native code is then reported as the reason, and does not end this process. */
import { fileURLToPath } from 'node:url';
import type { Device } from './backend.ts';
import { lastLines, runCommand } from './install/command.ts';
import type { AdapterFinding } from './webgpu/adapters.ts';

/** Two folders up from here is the package, built or not. */
const PROBE = fileURLToPath(new URL('../../dist/backend/probe.js', import.meta.url));

export interface GraphicsFinding {
  readonly adapters: readonly AdapterFinding[];
  /** Multiplications and additions a second, in billions, of a product with a bfloat16 matrix on the adapter that is taken. */
  readonly product_gflops: number;
}

export type ProbeResult =
  | {
      readonly ok: true;
      readonly version: string;
      readonly kernel: string | null;
      /** Of WebGPU. */
      readonly graphics?: GraphicsFinding;
    }
  | { readonly ok: false; readonly reason: string; readonly hint: string | undefined };

/** Opens the device and compares one product with its exact result. `folder`: instead of the one in the data folder. */
export async function probeDevice(
  device: Device,
  options: { readonly folder?: string; readonly signal?: AbortSignal | undefined } = {},
): Promise<ProbeResult> {
  const args = [PROBE, device, ...(options.folder === undefined ? [] : [options.folder])];
  const finished = await runCommand(process.execPath, args, { signal: options.signal });
  if (finished?.exitCode === 0) return JSON.parse(finished.stdout) as ProbeResult;
  if (finished?.endedBy === 'SIGILL') {
    const reason = 'this processor lacks instructions (AVX) that the TensorFlow library uses';
    return { ok: false, reason, hint: 'Use --device wasm.' };
  }
  const end = finished?.endedBy ?? `exit code ${finished?.exitCode}`;
  const reason =
    `trying it in a process of its own ended with ${end}\n${lastLines(finished?.stderr ?? '')}`.trim();
  return { ok: false, reason, hint: undefined };
}
