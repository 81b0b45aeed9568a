/** All settings: the name of each as a flag, as a variable and in a file, and its valid values. */
import {
  ARITHMETIC_CHOICES,
  DEVICE_CHOICES,
  type Arithmetic,
  type CudaCard,
  type DeviceChoice,
} from '../backend/backend.ts';
import { parseByteSize, BYTE_SIZE_FORM } from './byte-size.ts';

export interface SettingValues {
  readonly model: string;
  readonly transcoders: string;
  readonly revision: string;
  readonly device: DeviceChoice;
  readonly dtype: Arithmetic;
  readonly cacheDir: string;
  readonly offline: boolean;
  readonly allowMissingLayers: boolean;
  /** Bytes. */
  readonly maxMemory: number;
  /** Bytes. */
  readonly maxDeviceMemory: number;
}

export type SettingName = keyof SettingValues;

export interface SettingRule<T> {
  readonly flag: string;
  /** Environment variable; the Hub's own ones (`HF_HUB_CACHE`, `HF_HUB_OFFLINE`) are read by the hub. */
  readonly variable?: string;
  /** The expected value, for error messages. */
  readonly expected: string;
  readonly choices?: readonly string[];
  /** In a file, a relative path means: from the folder of that file. */
  readonly mayBePath?: boolean;
  /** The value, or undefined when it is not one. Flags and the environment bring text, files any JSON value. */
  readonly parse: (raw: unknown) => T | undefined;
}

function text(raw: unknown): string | undefined {
  return typeof raw === 'string' && raw.trim() !== '' ? raw : undefined;
}

function boolean(raw: unknown): boolean | undefined {
  return typeof raw === 'boolean' ? raw : undefined;
}

function oneOf<T extends string>(choices: readonly T[]): (raw: unknown) => T | undefined {
  return (raw) => choices.find((choice) => choice === raw);
}

function deviceChoice(raw: unknown): DeviceChoice | undefined {
  if (typeof raw === 'string' && CUDA_CARD.test(raw)) return raw as CudaCard;
  return oneOf(DEVICE_CHOICES)(raw);
}

const CUDA_CARD = /^cuda:(0|[1-9]\d{0,2})$/;

function choiceText(choices: readonly string[]): string {
  return `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`;
}

export const SETTING_RULES: { readonly [Name in SettingName]: SettingRule<SettingValues[Name]> } = {
  model: {
    flag: '--model',
    variable: 'TRACER_MODEL',
    expected: 'a preset, owner/name or a folder',
    mayBePath: true,
    parse: text,
  },
  transcoders: {
    flag: '--transcoders',
    variable: 'TRACER_TRANSCODERS',
    expected: 'a preset, owner/name, a folder or none',
    mayBePath: true,
    parse: text,
  },
  revision: { flag: '--revision', expected: 'a branch, tag or commit', parse: text },
  device: {
    flag: '--device',
    variable: 'TRACER_DEVICE',
    expected: 'auto, cpu, cuda, cuda:N, webgpu or wasm',
    choices: DEVICE_CHOICES,
    parse: deviceChoice,
  },
  dtype: {
    flag: '--dtype',
    variable: 'TRACER_DTYPE',
    expected: choiceText(ARITHMETIC_CHOICES),
    choices: ARITHMETIC_CHOICES,
    parse: oneOf(ARITHMETIC_CHOICES),
  },
  cacheDir: { flag: '--cache-dir', expected: 'a folder', mayBePath: true, parse: text },
  offline: { flag: '--offline', expected: 'true or false', parse: boolean },
  allowMissingLayers: { flag: '--allow-missing-layers', expected: 'true or false', parse: boolean },
  maxMemory: { flag: '--max-memory', expected: BYTE_SIZE_FORM, parse: parseByteSize },
  maxDeviceMemory: { flag: '--max-device-memory', expected: BYTE_SIZE_FORM, parse: parseByteSize },
};

export const SETTING_NAMES = Object.keys(SETTING_RULES) as SettingName[];
