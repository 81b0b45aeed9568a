/** Backend, WebGPU: adapters and devices, by Dawn for Node (the optional package `webgpu`). */
import { NotFoundError } from '../../errors.ts';
import { DAWN_PACKAGE, packageFailure } from './packages.ts';

interface DawnPackage {
  create(options: readonly string[]): GPU;
  readonly globals: Readonly<Record<string, unknown>>;
}

export interface OpenedDevice {
  readonly device: GPUDevice;
  readonly info: GPUAdapterInfo;
  /** Classes and constants that are global in a browser. */
  readonly globals: Readonly<Record<string, unknown>>;
}

/** Kept, since Dawn frees its state with this object, and events of its devices would then crash the process. */
let gpu: GPU | undefined;

/** Limits of which a device gets what its adapter has; of all others the least that WebGPU promises. */
const RAISED_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
  'maxComputeWorkgroupSizeX',
  'maxComputeInvocationsPerWorkgroup',
] as const;

/** What the adapter is called: what its driver says of itself. */
export function adapterName({ vendor, architecture, description }: GPUAdapterInfo): string {
  return description || [vendor, architecture].filter(Boolean).join(' ') || 'an adapter without a name';
}

/** The fastest adapter. Throws `NotFoundError` where the package or an adapter is missing. */
export async function openAdapter(): Promise<{ readonly adapter: GPUAdapter; readonly dawn: DawnPackage }> {
  const dawn = await loadDawn();
  gpu ??= dawn.create([]);
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter) return { adapter, dawn };
  throw new NotFoundError({
    code: 'no_webgpu_adapter',
    message: 'WebGPU finds no graphics adapter on this machine',
    hint: `${driverHint()} Or use --device cpu.`,
  });
}

/** The adapters that WebGPU offers beside the fastest one: for little power, and in software. */
export async function openAdapters(): Promise<GPUAdapter[]> {
  if (!gpu) return [];
  const adapters = await Promise.all([
    gpu.requestAdapter({ powerPreference: 'low-power' }),
    gpu.requestAdapter({ forceFallbackAdapter: true }),
  ]);
  return adapters.filter((adapter) => adapter !== null);
}

/** A device of the fastest adapter, with its largest limits. */
export async function openDevice(adapter: GPUAdapter, { globals }: DawnPackage): Promise<OpenedDevice> {
  const requiredLimits = Object.fromEntries(RAISED_LIMITS.map((name) => [name, adapter.limits[name]]));
  const device = await adapter.requestDevice({ requiredLimits });
  return { device, info: adapter.info, globals };
}

async function loadDawn(): Promise<DawnPackage> {
  try {
    return (await import(DAWN_PACKAGE)) as DawnPackage;
  } catch (cause) {
    throw packageFailure(DAWN_PACKAGE, cause);
  }
}

function driverHint(): string {
  switch (process.platform) {
    case 'linux':
      return "Install the Vulkan loader (Debian: libvulkan1) and the graphics card's Vulkan driver.";
    case 'win32':
      return "Install the graphics card's driver (Direct3D 12).";
    default:
      return "Install the graphics card's driver.";
  }
}
