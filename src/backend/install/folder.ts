/** Where a set-up TensorFlow lies: one folder for each device and set of versions, complete or not there. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { userFolder } from '../../formats/user-folders.ts';

export const TENSORFLOW_VERSION = '2.21.0';
export const TFJS_VERSION = '4.22.0';
/** The binding of TF.js, and the small addon that keeps TensorFlow's first log line off the terminal. */
export const ADDON_FILE = 'tfjs_binding.node';
export const GATE_FILE = 'stderr_gate.node';
/** Both halves of TF.js' native backend: what the addon is compiled from, and the kernels in JavaScript that call it. */
export const BINDING_PACKAGE_FOLDER = 'tfjs-node-gpu';

/** Devices that native TensorFlow serves. */
export type NativeDevice = 'cpu' | 'cuda';

/** `TRACER_DATA_DIR`, else the user's data folder (`~/.local/share/tracer` on Linux). */
export function dataFolder(): string {
  const named = process.env['TRACER_DATA_DIR'];
  return named ? resolve(named) : userFolder('data');
}

/** Versions are in the name, so that a newer tracer builds its own and never loads an older addon. */
export function tensorflowFolder(device: NativeDevice, dataDir = dataFolder()): string {
  const versions = `${TENSORFLOW_VERSION}-tfjs-${TFJS_VERSION}`;
  return join(dataDir, 'tensorflow', `${device}-${versions}-${process.platform}-${process.arch}`);
}

/** A folder gets its name only when it is complete, so the presence of its parts is enough. */
export function isSetUp(folder: string): boolean {
  return hasAddons(folder) && hasBindingPackage(folder);
}

/** Also true of what an older version set up, which took the package from `node_modules`. */
export function hasAddons(folder: string): boolean {
  return [ADDON_FILE, GATE_FILE].every((name) => existsSync(join(folder, name)));
}

export function hasBindingPackage(folder: string): boolean {
  return existsSync(join(folder, BINDING_PACKAGE_FOLDER));
}

/** Version of the GNU C library that Node runs on; undefined on other systems and with other C libraries (musl). */
export function glibcVersion(): string | undefined {
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime;
}
