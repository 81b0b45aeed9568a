/** `--device webgpu` at the command line: with a software device, without an adapter, without the package. */
import { describe, expect, it } from '@jest/globals';
import { tracer } from './start.ts';

const RUN = ['run', 'Hello, world!', '--device', 'webgpu', '--json'];
const isHere = process.env['VK_DRIVER_FILES'] !== undefined;

interface Answer {
  readonly data?: {
    readonly device: string;
    readonly backend: string;
    readonly top: { readonly text: string }[];
  };
  readonly error?: { readonly code: string; readonly message: string; readonly hint: string };
}

async function answer(env: Readonly<Record<string, string>> = {}) {
  const { stdout, stderr, exitCode } = await tracer(RUN, { env });
  return { exitCode, stderr, ...(JSON.parse(stdout) as Answer) };
}

/** An option of Node with which a package is found neither by `import` nor by `require`, as where it is not installed. */
function without(name: string): string {
  const refuse = (code: string) =>
    `if (specifier === '${name}') throw Object.assign(new Error('Cannot find it'), { code: '${code}' });`;
  const hook = `export async function resolve(specifier, context, next) {
    ${refuse('ERR_MODULE_NOT_FOUND')}
    return next(specifier, context);
  }`;
  const code = `import Module from 'node:module';
    Module.register(${JSON.stringify(asUrl(hook))});
    const resolve = Module._resolveFilename;
    Module._resolveFilename = function (specifier, ...rest) {
      ${refuse('MODULE_NOT_FOUND')}
      return resolve.call(this, specifier, ...rest);
    };`;
  return `--import=${asUrl(code)}`;
}

function asUrl(code: string): string {
  return `data:text/javascript,${encodeURIComponent(code)}`;
}

describe('--device webgpu', () => {
  (isHere ? it : it.skip)('runs the embedded model as the other devices do', async () => {
    const { exitCode, data } = await answer();
    expect(exitCode).toBe(0);
    expect(data).toMatchObject({ device: 'webgpu', backend: 'webgpu' });
    const other = await tracer(['run', 'Hello, world!', '--device', 'wasm', '--json']);
    const { top } = (JSON.parse(other.stdout) as Required<Answer>).data;
    expect(data!.top.map(({ text }) => text)).toEqual(top.map(({ text }) => text));
  });

  (process.platform === 'linux' ? it : it.skip)(
    'says what is missing where there is no adapter',
    async () => {
      const { exitCode, error } = await answer({ VK_DRIVER_FILES: '/no/such/driver.json' });
      expect(exitCode).toBe(3);
      expect(error).toMatchObject({
        code: 'no_webgpu_adapter',
        message: expect.stringMatching(/no graphics adapter/),
        hint: expect.stringMatching(/Vulkan.*--device cpu/),
      });
    },
  );

  const packages = isHere ? ['webgpu', '@tensorflow/tfjs-backend-webgpu'] : ['webgpu'];
  it.each(packages)('names the package %s where it is missing', async (name) => {
    const { exitCode, error } = await answer({ NODE_OPTIONS: without(name) });
    expect(exitCode).toBe(3);
    expect(error).toMatchObject({ code: 'webgpu_missing', hint: expect.stringContaining(`npm install`) });
    expect(error!.message).toContain(name);
  });
});
