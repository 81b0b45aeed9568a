/** `tracer mcp`, driven by the SDK's own client over standard input and output. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { strictJsonObject } from '../../src/formats/json-object.ts';
import { callTool } from '../../src/mcp/call.ts';
import type { Tool } from '../../src/mcp/tool.ts';
import { Workspace } from '../../src/mcp/workspace.ts';
import { BINARY, finish, start } from '../cli/start.ts';

const PROMPT = 'The capital of the state containing Dallas is';
const TOOLS = [
  'inspect_model',
  'run',
  'attribute',
  'graph_top',
  'graph_paths',
  'graph_suggest',
  'graph_report',
  'inspect_feature',
  'intervene',
  'validate',
];
/** An answer is read whole by an agent. */
const LONGEST_ANSWER = 6_000;

const root = mkdtempSync(join(tmpdir(), 'tracer-mcp-test-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Connected extends AsyncDisposable {
  readonly client: Client;
  readonly notes: () => string;
  call(
    name: string,
    args?: object,
    options?: object,
  ): Promise<{ isError: boolean; data: Record<string, unknown> }>;
}

async function connect(...flags: string[]): Promise<Connected> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [BINARY, 'mcp', '--device', 'wasm', ...flags],
    env: {
      ...(process.env as Record<string, string>),
      TRACER_LABELS_DIR: join(root, 'labels'),
      NODE_OPTIONS: '',
    },
    cwd: root,
    stderr: 'pipe',
  });
  let notes = '';
  transport.stderr?.on('data', (part: Buffer) => (notes += part.toString()));
  const client = new Client({ name: 'test', version: '1' });
  await client.connect(transport);
  return {
    client,
    notes: () => notes,
    async call(name, args = {}, options) {
      const result = await client.callTool({ name, arguments: args as Record<string, unknown> }, options);
      const [content] = result.content as { text: string }[];
      expect(content!.text.length).toBeLessThan(LONGEST_ANSWER);
      const isError = result.isError === true;
      const data = (result.structuredContent ?? { text: content!.text }) as Record<string, unknown>;
      if (result.structuredContent) expect(JSON.parse(content!.text)).toEqual(data);
      return { isError, data };
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
}

describe('tracer mcp', () => {
  const folder = join(root, 'files');
  let agent: Connected;
  let graph: string;
  beforeAll(async () => {
    agent = await connect('--folder', folder);
    graph = (await agent.call('attribute', { prompt: PROMPT, name: 'dallas' })).data['graph'] as string;
  });
  afterAll(async () => await agent[Symbol.asyncDispose]());

  it('lists its tools with schemas of their arguments', async () => {
    const { tools } = await agent.client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(TOOLS);
    for (const { description, inputSchema } of tools) {
      expect(description!.length).toBeGreaterThan(20);
      expect(inputSchema).toMatchObject({ type: 'object', additionalProperties: false });
      for (const field of Object.values(inputSchema.properties ?? {}))
        expect(field).toHaveProperty('description');
    }
    expect(agent.client.getServerVersion()).toMatchObject({ name: 'tracer' });
    expect(agent.client.getInstructions()).toContain('result_file');
  });

  it('runs a prompt', async () => {
    const { data } = await agent.call('run', { prompt: PROMPT, top: 1, features: 1 });
    expect(data['top']).toMatchObject([{ text: ' Austin' }]);
    expect(data['tokens']).toHaveLength(9);
    expect(data['features']).toContainEqual(
      expect.objectContaining({ layer: expect.any(Number), label: expect.any(String) }),
    );
  });

  it('traces a prompt into a file, which the other tools find by its name', async () => {
    expect(graph).toBe('dallas');
    expect(existsSync(join(folder, 'dallas.safetensors'))).toBe(true);
    const top = (await agent.call('graph_top', { graph, k: 2 })).data['top'] as { id: string }[];
    expect(top.map(({ id }) => id)).toEqual(['1_392_7', '3_498_8']);
    const byPath = await agent.call('graph_top', { graph: join(folder, 'dallas.safetensors'), k: 2 });
    expect(byPath.data['top']).toEqual(top);
    const { paths } = (await agent.call('graph_paths', { graph, from: [' Dallas'], k: 1 })).data as {
      paths: { nodes: { token: string }[] }[];
    };
    expect(paths[0]!.nodes.map(({ token }) => token)).toEqual([' Dallas', ' Dallas', ' Austin']);
  });

  it('suggests a circuit of few boxes', async () => {
    const { data } = await agent.call('graph_suggest', { graph, max_boxes: 6 });
    const boxes = data['boxes'] as { name: string; ids: string[] }[];
    expect(boxes.length).toBeLessThanOrEqual(6);
    expect(boxes.flatMap(({ ids }) => ids)).toContain('1_392_7');
    expect(data['scores']).toMatchObject({ suggested: { completeness: expect.any(Number) } });
    const links = data['links'] as { source: string; target: string; weight: number }[];
    expect(links.length).toBeLessThanOrEqual(15);
    const names = boxes.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(links.flatMap(({ source, target }) => [source, target])));
    expect(data['n_links']).toBeGreaterThanOrEqual(links.length);
  });

  it('writes a page about a graph, measured in the model that is held', async () => {
    const { isError, data } = await agent.call('graph_report', { graph, format: 'markdown', max_boxes: 6 });
    expect(isError).toBe(false);
    const files = ['dallas.report.md', 'dallas.report.svg'].map((name) => join(folder, name));
    expect(data['files']).toEqual(files);
    expect(files.every(existsSync)).toBe(true);
    expect(data['measured']).toMatchObject({ state: 'measured', model: 'embedded' });
    const without = data['without'] as { changes: { measured: number }[] }[];
    expect(without.at(-1)!.changes[0]!.measured).toBeLessThan(-5);
  });

  it('does not replace a page of the same name', async () => {
    const file = join(folder, 'dallas.report.html');
    writeFileSync(file, 'edited by hand');
    const { data } = await agent.call('graph_report', { graph, max_boxes: 6 });
    expect(data['files']).toEqual([join(folder, 'dallas.report-2.html')]);
    expect(readFileSync(file, 'utf8')).toBe('edited by hand');
  });

  it('does not replace a graph of the same name', async () => {
    const before = readFileSync(join(folder, 'dallas.safetensors'));
    const { data } = await agent.call('attribute', { prompt: 'The capital of Texas is', name: 'dallas' });
    expect(data['graph']).not.toBe('dallas');
    expect(readFileSync(join(folder, 'dallas.safetensors'))).toEqual(before);
  });

  it('writes the whole result beside the short one', async () => {
    const { data } = await agent.call('run', { prompt: PROMPT });
    const whole = JSON.parse(readFileSync(data['result_file'] as string, 'utf8')) as Record<string, unknown>;
    expect(whole).toMatchObject({ model: 'embedded', output: { shape: [1, 9, 4382] } });
  });

  it('keeps the results that another process wrote into the folder', async () => {
    const first = (await agent.call('graph_suggest', { graph })).data['result_file'] as string;
    const number = Number(/graph_suggest-(\d+)\.json$/.exec(first)![1]);
    const theirs = join(folder, `graph_suggest-${number + 1}.json`);
    writeFileSync(theirs, 'theirs');
    const { data } = await agent.call('graph_suggest', { graph });
    expect(data['result_file']).toBe(join(folder, `graph_suggest-${number + 2}.json`));
    expect(readFileSync(theirs, 'utf8')).toBe('theirs');
  });

  it('describes the model and a feature', async () => {
    expect((await agent.call('inspect_model')).data).toMatchObject({
      model: 'embedded',
      model_details: { n_layers: 4 },
    });
    const { data } = await agent.call('inspect_feature', { layer: 1, feature: 392, examples: 1 });
    expect(data).toMatchObject({ label: { origin: 'automatic' }, promotes: expect.any(Array) });
    expect(data['examples']).toEqual([
      { text: expect.stringContaining('<<Dallas>>'), activation: expect.any(Number) },
    ]);
  });

  it('intervenes, and tests a graph in the model', async () => {
    const changed = await agent.call('intervene', { prompt: PROMPT, changes: ['1:7:392=*-2'], top: 1 });
    expect(changed.data).toMatchObject({ before: [{ text: ' Austin' }] });
    expect((changed.data['after'] as { text: string }[])[0]!.text).not.toBe(' Austin');
    const tested = await agent.call('validate', { graph, top: 3, target: ' Austin' });
    expect(tested.data).toMatchObject({ target: { text: ' Austin' }, features: expect.any(Array) });
    expect(tested.data['features']).toHaveLength(3);
  });

  it('answers warnings with the result', async () => {
    const { data } = await agent.call('intervene', { prompt: PROMPT, changes: ['1:0:392=*2'] });
    expect(data['warnings']).toEqual([expect.stringContaining('nothing is changed')]);
  });

  it.each([
    ['graph_top', { graph: 'nope' }, 'graph_not_found'],
    ['graph_top', { graph: BINARY }, ''],
    ['validate', { graph: 'dallas', target: 'nope' }, 'unknown_node'],
    ['inspect_feature', { layer: 9, feature: 0 }, 'out_of_range'],
    ['intervene', { prompt: PROMPT, changes: ['1:7'] }, 'bad_intervention'],
    ['intervene', { prompt: PROMPT, remove_heads: ['x'] }, ''],
    ['run', { prompt: 'x '.repeat(500) }, ''],
  ])('answers an error of %s %j with its code and the next step', async (name, args, code) => {
    const { isError, data } = await agent.call(name, args);
    expect(isError).toBe(true);
    const error = data['error'] as { code: string; message: string };
    expect(error.message).not.toBe('');
    expect(error.code).not.toBe('unexpected');
    if (code !== '') expect(error.code).toBe(code);
  });

  it.each([
    ['run', {}],
    ['run', { prompt: '' }],
    ['run', { prompt: PROMPT, topp: 3 }],
    ['run', { prompt: PROMPT, top: 1.5 }],
    ['run', { prompt: PROMPT, top: 1e9 }],
    ['intervene', { prompt: PROMPT, changes: '1:7:392=0' }],
  ])('refuses the arguments of %s %j', async (name, args) => {
    const { isError, data } = await agent.call(name, args);
    expect([isError, data['text']]).toEqual([true, expect.stringContaining('Invalid arguments')]);
  });

  it('holds one model between calls, which take their turns', async () => {
    expect(agent.notes().match(/note: Device/g)).toHaveLength(1);
    const prompts = Array.from({ length: 6 }, (_, i) => `The capital of Texas is ${i}`);
    const answers = await Promise.all(prompts.map((prompt) => agent.call('run', { prompt, top: 1 })));
    for (const { isError, data } of answers) {
      expect([isError, data['top']]).toEqual([
        false,
        [expect.objectContaining({ text: expect.any(String) })],
      ]);
    }
  });

  it('stops a call that is cancelled, running or waiting, and goes on with others', async () => {
    const stop = new AbortController();
    const before = readdirSync(folder);
    const long = { prompt: `${'Dallas is in Texas. '.repeat(9)}The capital is`, name: 'long' };
    const calls = ['attribute', 'attribute', 'run'].map((name) =>
      agent.client.callTool(
        { name, arguments: name === 'run' ? { prompt: PROMPT } : long },
        { signal: stop.signal },
      ),
    );
    const ends = Promise.allSettled(calls);
    setTimeout(() => stop.abort('not needed any more'), 100);
    for (const { status } of await ends) expect(status).toBe('rejected');
    const { data } = await agent.call('run', { prompt: PROMPT, top: 1 });
    expect(data['top']).toMatchObject([{ text: ' Austin' }]);
    const added = readdirSync(folder).filter((name) => !before.includes(name));
    expect(added).toEqual([expect.stringMatching(/^run-\d+\.json$/)]);
  });

  it('writes no result of a call that was cancelled while it read files', async () => {
    await using workspace = await Workspace.open(join(root, 'cancelled'), {});
    const stop = new AbortController();
    const tool: Tool = {
      name: 'graph_suggest',
      title: '',
      description: '',
      input: strictJsonObject({}),
      work: () => {
        stop.abort(new Error('not needed any more'));
        return Promise.resolve({ short: {}, full: { long: true } });
      },
    };
    const call = callTool(tool, {}, workspace, { signal: stop.signal, onProgress: () => undefined });
    await expect(call).rejects.toThrow('not needed any more');
    expect(readdirSync(workspace.folder)).toEqual([]);
  });

  it('says which tools write a file for people', async () => {
    const { tools } = await agent.client.listTools();
    const writing = tools.filter(({ annotations }) => annotations!.readOnlyHint === false);
    expect(writing.map(({ name }) => name)).toEqual(['attribute', 'graph_report']);
  });

  it('tells of progress where it is asked to', async () => {
    await using other = await connect();
    const messages: string[] = [];
    const onprogress = ({ message }: { message?: string }) => messages.push(message ?? '');
    await other.call('attribute', { prompt: PROMPT }, { onprogress });
    expect(messages.length).toBeGreaterThan(0);
    expect(messages[0]).not.toBe('');
  });
});

describe('the connection of tracer mcp', () => {
  const message = (id: number, method: string, params: object): string =>
    `${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`;
  const HELLO =
    message(1, 'initialize', {
      protocolVersion: '2025-06-18',
      capabilities: {},
      clientInfo: { name: 'older client', version: '1' },
    }) + `${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })}\n`;

  it('speaks with clients of earlier versions, and writes nothing but the protocol', async () => {
    const child = start(['mcp', '--device', 'wasm', '--verbose']);
    const ended = finish(child);
    let seen = '';
    child.stdout!.on('data', (part: string) => (seen += part));
    child.stdin!.write(HELLO + message(2, 'tools/call', { name: 'run', arguments: { prompt: PROMPT } }));
    while (!seen.includes('"id":2')) await new Promise((resolve) => setTimeout(resolve, 20));
    child.stdin!.end('this is no message\n{"neither":"is this"}\n');
    const { exitCode, stdout, stderr } = await ended;
    expect(stderr).toMatch(/^warning: a line of the input is no message of the protocol, and is left out$/m);
    expect(stderr).not.toContain('invalid_union');
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { jsonrpc: string });
    expect(lines.every(({ jsonrpc }) => jsonrpc === '2.0')).toBe(true);
    expect(lines[0]).toMatchObject({ id: 1, result: { protocolVersion: '2025-06-18' } });
    expect(lines[1]).toMatchObject({ id: 2, result: { structuredContent: { top: expect.any(Array) } } });
    expect(stderr).toContain('Device wasm');
    expect(exitCode).toBe(0);
  });

  it('ends with its client, also in a call, and removes its temporary folder', async () => {
    const temporary = mkdtempSync(join(root, 'tmp-'));
    const child = start(['mcp', '--device', 'wasm'], { env: { TMPDIR: temporary } });
    const ended = finish(child);
    const long = { prompt: `${'Dallas is in Texas. '.repeat(9)}The capital is` };
    child.stdin!.write(HELLO + message(2, 'tools/call', { name: 'attribute', arguments: long }));
    await new Promise((resolve) => child.stdout!.once('data', resolve));
    child.stdin!.end();
    expect((await ended).exitCode).toBe(0);
    expect(readdirSync(temporary)).toEqual([]);
  });

  it('ends at SIGTERM', async () => {
    const child = spawn(process.execPath, [BINARY, 'mcp', '--device', 'wasm'], { cwd: root });
    const ended = finish(child);
    child.stdin.write(HELLO);
    await new Promise((resolve) => child.stdout.once('data', resolve));
    child.kill('SIGTERM');
    expect((await ended).exitCode).toBe(143);
  });
});
