import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { NotFoundError, TracerError, UsageError } from '../../src/errors.ts';
import { isSafePath } from '../../src/formats/safe-path.ts';
import { parseHubUri, parseReference, type Reference } from '../../src/hub/reference.ts';

const parse = (text: string, existing: string[] = []): Reference =>
  parseReference(text, {
    presets: ['embedded', 'gemma-2-2b', 'gemma'],
    exists: (path) => existing.includes(path),
  });

describe('a name of a model or set', () => {
  it.each<[string, Reference]>([
    ['gemma', { kind: 'preset', name: 'gemma' }],
    ['google/gemma-2-2b', { kind: 'hub', repo: 'google/gemma-2-2b' }],
    ['google/gemma-2-2b@v1.0', { kind: 'hub', repo: 'google/gemma-2-2b', revision: 'v1.0' }],
    ['google/gemma-2-2b@refs/pr/3', { kind: 'hub', repo: 'google/gemma-2-2b', revision: 'refs/pr/3' }],
    ['a/b//sub/folder', { kind: 'hub', repo: 'a/b', subfolder: 'sub/folder' }],
    [
      'a/b//sub/folder/@my/branch',
      { kind: 'hub', repo: 'a/b', subfolder: 'sub/folder', revision: 'my/branch' },
    ],
    ['a/b//with@sign@main', { kind: 'hub', repo: 'a/b', subfolder: 'with@sign', revision: 'main' }],
    ['hf://a/b', { kind: 'hub', repo: 'a/b' }],
    ['hf://models/a/b/layers', { kind: 'hub', repo: 'a/b', subfolder: 'layers' }],
    ['hf://a/b/layers@v2', { kind: 'hub', repo: 'a/b', subfolder: 'layers', revision: 'v2' }],
    ['a/b/m-Q8_0.gguf', { kind: 'hub', repo: 'a/b', subfolder: 'm-Q8_0.gguf' }],
    ['a/b/sub/m.gguf@v2', { kind: 'hub', repo: 'a/b', subfolder: 'sub/m.gguf', revision: 'v2' }],
    ['hf://a/b/m.gguf', { kind: 'hub', repo: 'a/b', subfolder: 'm.gguf' }],
    ['./here', { kind: 'local', path: './here' }],
    ['../up/here', { kind: 'local', path: '../up/here' }],
    ['.', { kind: 'local', path: '.' }],
    ['/absolute/folder', { kind: 'local', path: '/absolute/folder' }],
    ['~/models', { kind: 'local', path: join(homedir(), 'models') }],
  ])('%s', (text, expected) => {
    expect(parse(text)).toEqual(expected);
  });

  it('that exists on disk is a local folder, even if it could be a repository', () => {
    expect(parse('models/mine', ['models/mine'])).toEqual({ kind: 'local', path: 'models/mine' });
    expect(parse('mine', ['mine'])).toEqual({ kind: 'local', path: 'mine' });
  });

  it('that is a preset stays one when a folder has the same name', () => {
    expect(parse('embedded', ['embedded'])).toEqual({ kind: 'preset', name: 'embedded' });
  });

  it('that is unknown is answered with the nearest preset', () => {
    expect(() => parse('gema-2-2b')).toThrow(NotFoundError);
    expect(() => parse('gema-2-2b')).toThrow(expect.objectContaining({ hint: "Did you mean 'gemma-2-2b'?" }));
  });

  it.each([
    '',
    ' ',
    'a/b/c',
    'a/b@',
    'a/b//',
    'a/b//../c',
    'a/b@../../etc',
    'a/b@one two',
    'a--b/c',
    '-a/b',
    'a/b.git',
    'https://huggingface.co/google/gemma-2-2b',
    'hf://datasets/a/b/c',
    'hf://a',
    'hf://a/b@%zz/c',
  ])("that is malformed ('%s') is refused with a hint", (text) => {
    expect(() => parse(text)).toThrow(UsageError);
    expect(() => parse(text)).toThrow(expect.objectContaining({ hint: expect.stringMatching(/./) }));
  });

  it('given as an address of a web page is answered with the name to write', () => {
    const address = 'https://huggingface.co/google/gemma-2-2b/tree/main';
    expect(() => parse(address)).toThrow(expect.objectContaining({ hint: 'Write it as google/gemma-2-2b.' }));
  });

  it('of any kind gives a harmless reference or a typed error', () => {
    const letters = fc.constantFrom(
      'a',
      'B',
      '0',
      '/',
      '//',
      '@',
      '.',
      '..',
      '-',
      '~',
      '\\',
      ':',
      '%2e',
      'hf://',
      ' ',
      '\0',
    );
    const texts = fc.oneof(fc.string({ unit: letters, maxLength: 12 }), fc.string());
    fc.assert(
      fc.property(texts, (text) => {
        try {
          const parsed = parse(text);
          if (parsed.kind !== 'hub') return;
          expect(parsed.repo).toMatch(/^\w[\w.-]*\/\w[\w.-]*$/);
          for (const part of [parsed.subfolder, parsed.revision])
            if (part !== undefined) expect(isSafePath(part)).toBe(true);
        } catch (error) {
          if (!(error instanceof TracerError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('an hf:// address of a file', () => {
  it.each([
    ['hf://a/b/layer_0/params.npz', { repo: 'a/b', path: 'layer_0/params.npz' }],
    ['hf://a/b/layer_0/params.npz@v1', { repo: 'a/b', path: 'layer_0/params.npz', revision: 'v1' }],
    ['hf://a/b/params.npz@refs/pr/3', { repo: 'a/b', path: 'params.npz', revision: 'refs/pr/3' }],
    ['hf://a/b@refs/pr/3/x/params.npz', { repo: 'a/b', path: 'x/params.npz', revision: 'refs/pr/3' }],
    ['hf://a/b@my%2Fbranch/params.npz', { repo: 'a/b', path: 'params.npz', revision: 'my/branch' }],
    ['hf://a/b/params.npz?revision=v2', { repo: 'a/b', path: 'params.npz', revision: 'v2' }],
  ])('%s', (uri, expected) => {
    expect(parseHubUri(uri)).toEqual(expected);
  });

  it.each(['hf://a/b', 'hf://a/b@v1', 'hf://a/b/../c', 'a/b/c', 'hf://a/b//c'])('%s names no file', (uri) => {
    expect(() => parseHubUri(uri)).toThrow(UsageError);
  });
});
