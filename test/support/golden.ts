/** The golden fixtures: paths, prompts and tolerances. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { openFileSource } from '../../src/formats/byte-source.ts';
import type { FileSet } from '../../src/model/file-set.ts';
import type { SetFiles } from '../../src/transcoder/set-files.ts';

export const FIXTURES = ['tiny-a', 'tiny-b'] as const;
/** Of other families, with their sets; prompts p1 to p3. */
export const FAMILY_FIXTURES = {
  'families/llama': ['plt-relu-skip', 'clt'],
  'families/qwen2': ['plt-jumprelu'],
  'families/qwen3': ['plt-relu'],
  'families/mistral': ['plt-jumprelu'],
  'families/gpt2': ['plt-jumprelu'],
  'families/gpt-neox': ['plt-jumprelu'],
  'families/gemma3': ['plt-jumprelu', 'transcoders', 'transcoders-affine', 'clt', 'clt-affine'],
  'families/gpt-oss': ['plt-jumprelu', 'plt-relu', 'clt'],
} as const;
export type FamilyFixture = keyof typeof FAMILY_FIXTURES;
/** Families whose hooked model has a table of all hooks. */
export const HOOKED_FAMILIES = (): FamilyFixture[] =>
  FAMILIES.filter((each) => existsSync(goldenPath(each, 'expected', 'replacement-hooks.json')));
export const FAMILIES = Object.keys(FAMILY_FIXTURES) as FamilyFixture[];
/** Sets as other libraries write them, one a fixture, on the model of tiny-a. */
export const LAYOUT_FIXTURES: readonly LayoutFixture[] = [
  'layouts/sparsify',
  'layouts/sparsify-skip',
  'layouts/sparsify-groupmax',
  'layouts/saelens',
  'layouts/saelens-skip',
  'layouts/saelens-jumprelu',
  'layouts/saelens-jumprelu-skip',
  'layouts/crv',
];
export type LayoutFixture = `layouts/${string}`;
export type Fixture = (typeof FIXTURES)[number] | FamilyFixture | LayoutFixture;

/** `npm run test:full`: all cases of a kind, of which `npm test` takes one or a few. */
export const IS_FULL = process.env['TRACER_TEST_FULL'] === '1';
/** The part of it that is about WebGPU: a device in software takes minutes for what others do in seconds. */
export const IS_FULL_ON_WEBGPU = IS_FULL && process.env['DEVICE'] === 'webgpu';
/** Fixtures that the command line is compared on: in `npm test` one a device, since the engine is compared on all of them anyway. */
export const CLI_FIXTURES = (device: string): readonly Fixture[] =>
  IS_FULL ? [...FIXTURES, ...FAMILIES] : [FIXTURES[device === 'cpu' ? 0 : 1]];

/** Sets of a fixture in a layout that is read, the first one with hooks of a pass. */
export function setsOf(fixture: Fixture): readonly string[] {
  if (fixture.startsWith('layouts/')) return ['set'];
  const known = (FAMILY_FIXTURES as Partial<Record<Fixture, readonly string[]>>)[fixture];
  if (known) return known;
  const all = readdirSync(goldenPath(fixture, 'transcoders'));
  return ['plt-jumprelu', ...all.filter((set) => set !== 'plt-jumprelu')];
}

const ROOT = path.join(import.meta.dirname, '../fixtures/golden');

export function goldenPath(fixture: Fixture, ...parts: string[]): string {
  if (!fixture.startsWith('layouts/')) return path.join(ROOT, fixture, ...parts);
  const [first, ...rest] = parts;
  if (first === 'model') return path.join(ROOT, 'tiny-a', ...parts);
  return path.join(ROOT, fixture, ...(first === 'transcoders' ? rest : parts));
}

export function readGoldenJson<T>(fixture: Fixture, ...parts: string[]): T {
  return JSON.parse(readFileSync(goldenPath(fixture, ...parts), 'utf8')) as T;
}

export interface GoldenPrompt {
  readonly text: string;
  readonly token_ids: number[];
  readonly token_pieces: string[];
  readonly token_strings: string[];
  readonly decoded: string;
}

export const PROMPTS = ['p1', 'p2', 'p3', 'p4'] as const;
export type PromptName = (typeof PROMPTS)[number];

export function prompts(fixture: Fixture): Record<PromptName, GoldenPrompt> {
  return readGoldenJson(fixture, 'expected', 'prompts.json');
}

export interface Tolerances {
  readonly logits_and_hooks: number;
  readonly transcoder: number;
  readonly adjacency: number;
  readonly probabilities_influence_scores: number;
  readonly interventions_and_generation: number;
}

export function tolerances(fixture: Fixture): Tolerances {
  return readGoldenJson<{ tolerance: Tolerances }>(fixture, 'expected', 'manifest.json').tolerance;
}

/** A folder with its files, as a set is recognised by. */
export function setFolder(root: string): SetFiles {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const paths = files.map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)));
  return { ...folder(root), paths: paths.map((each) => each.split(path.sep).join('/')) };
}

/** A folder as the model and transcoder rooms read it. */
export function folder(root: string): FileSet {
  return {
    name: root,
    has: (file) => existsSync(path.join(root, file)),
    open: (file) => openFileSource(path.join(root, file)),
  };
}
