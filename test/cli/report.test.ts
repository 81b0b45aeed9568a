/** `tracer report`: files, standard input and output. What pages say is tested in test/engine/report.test.ts. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ReportResult } from '../../src/engine/report/types.ts';
import { writeGraph } from '../../src/graph/files.ts';
import { readGolden } from '../graph/golden.ts';
import { tracer } from './shared.ts';
import { envelope } from './start.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-cli-report-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const read = (name: string): string => readFileSync(path.join(folder, name), 'utf8');
const report = (args: string[], input?: Buffer) =>
  tracer(['report', ...args], { cwd: folder, ...(input !== undefined && { input }) });

beforeAll(async () => {
  const { graph } = await readGolden('tiny-a', 'graph-plt-jumprelu-p2');
  await writeGraph(path.join(folder, 'graph.safetensors'), graph);
});

describe('tracer report', () => {
  it('writes a page beside the graph and prints it with --json as data', async () => {
    const { command, data } = envelope(
      await report(['graph.safetensors', '--no-measure', '--json']),
    ) as unknown as {
      command: string;
      data: ReportResult;
    };
    expect(command).toBe('report');
    expect(data.files.map(({ path: file }) => file)).toEqual(['graph.report.html']);
    expect(read('graph.report.html')).toContain('<h2 id="effects">');
    expect(data.provenance.command).toBe('tracer report graph.safetensors --no-measure');
  });

  it('takes the graph from standard input, and puts the page on standard output', async () => {
    const input = readFileSync(path.join(folder, 'graph.safetensors'));
    const piped = await report(['-', '--format', 'markdown', '--no-measure', '--title', 'A | B'], input);
    expect(piped.exitCode).toBe(0);
    expect(piped.stderr).toMatch(/^note: Markdown on standard output is without the figure: [^\n]*\n$/);
    expect(piped.stdout).not.toContain('](');
    expect(piped.stdout).toMatch(/^# A &#124; B\n/);
    expect(piped.stdout).toContain('`standard input`');
    const page = await report(['graph.safetensors', '--no-measure', '--output', '-']);
    expect(page.stdout).toMatch(/^<!DOCTYPE html>[^]*<\/html>\n$/);
    const both = await report(['graph.safetensors', '--no-measure', '--output', '-', '--json']);
    expect(both.exitCode).toBe(2);
    expect(both.stdout).toContain('two_outputs');
  });

  it('calls standard input by this name in errors, and says when it is empty', async () => {
    const whole = readFileSync(path.join(folder, 'graph.safetensors'));
    const cut = await report(['-', '--no-measure'], whole.subarray(0, 3000));
    expect(cut.exitCode).toBe(4);
    expect(cut.stderr).toMatch(/^error: standard input: the header describes \d+ bytes/);
    const unknown = await report(['-', '--no-measure', '--circuit', 'nope'], whole);
    expect(unknown.exitCode).toBe(3);
    expect(unknown.stderr).toContain('there is neither a file nope nor nope.annotations.json');
    const empty = await report(['-', '--json', '--output', 'page.html'], Buffer.alloc(0));
    expect(empty.exitCode).toBe(4);
    expect(envelope(empty).error).toMatchObject({ code: 'empty_input', message: 'standard input is empty' });
  });

  it('refuses a place that cannot be written before the model runs', async () => {
    const refused = await report(['graph.safetensors', '--output', '.', '--format', 'html']);
    expect(refused.exitCode).toBe(2);
    expect(refused.stderr).toMatch(/^error: \. is a folder, but a file is to be written\n/);
  });

  it('shows what it measured, or why it did not', async () => {
    const { exitCode, stdout, stderr } = await report(['graph.safetensors', '--output', 'page.md']);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('not measured');
    expect(stderr).toContain('effects are not measured');
    expect(read('page.md')).toContain('](page.svg)');
    expect(read('page.svg')).toContain('<svg');
    writeFileSync(path.join(folder, 'one.json'), JSON.stringify({ pinnedIds: ['0_65_10'] }));
    const one = await report(['graph.safetensors', '--no-measure', '--circuit', 'one.json']);
    expect(one.stdout).toMatch(/^circuit +1 box, of one.json$/m);
    const refused = await report(['graph.safetensors', '--output', 'graph.safetensors', '--format', 'html']);
    expect(refused.exitCode).toBe(2);
    expect(refused.stderr).toContain('would replace');
  });
});
