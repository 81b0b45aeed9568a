/** `tracer setup`: links TensorFlow to TF.js. If that fails, it only warns, since the wasm backend remains. */
import type { Command } from 'commander';
import type { SetupProgress } from '../../backend/install.ts';
import type { EngineEvent } from '../../engine/request.ts';
import { EXIT, TracerError, UsageError } from '../../errors.ts';
import type { SetupResult } from '../../report/setup-view.ts';
import type { Settings } from '../../settings/resolve.ts';
import { perform } from '../perform.ts';
import type { Shell } from '../shell.ts';

const HELP = `
Without --device: for the processor, and a machine where it cannot be done is told so and uses wasm.
With --device cpu or cuda: the command fails when it cannot be done.
With --without-driver: CUDA is set up on a machine that has none, for an image that runs elsewhere.`;

export function addSetup(program: Command, shell: Shell): void {
  const command = program
    .command('setup')
    .description('link TensorFlow (processor or CUDA) to tracer; run it again at any time')
    .option('--without-driver', 'with --device cuda: need no driver, check the library on the processor')
    .addHelpText('after', HELP);
  command.action(({ withoutDriver = false }: { withoutDriver?: boolean }) =>
    perform(shell, command, async ({ settings, report }) => {
      const [{ setUpTensorflow }, { setupView }] = await Promise.all([
        import('../../backend/install.ts'),
        import('../../report/setup-view.ts'),
      ]);
      const demanded = demandedDevice(settings);
      const device = demanded ?? 'cpu';
      let result: SetupResult;
      try {
        const done = await setUpTensorflow({
          device,
          withoutDriver,
          signal: shell.signal,
          onPhase: (progress) => report(eventOf(progress)),
        });
        const { folder, version, kernel, kernelFailure, seconds, alreadySetUp } = done;
        if (kernelFailure !== undefined) {
          const message = `Products on stored weights are TensorFlow's own, which are slower: ${kernelFailure}`;
          report({ kind: 'warning', message });
        }
        result = { linked: true, device, folder, version, kernel, already_set_up: alreadySetUp, seconds };
      } catch (error) {
        if (demanded !== undefined || shell.signal.aborted || !isRefusal(error)) throw error;
        const { code, message, hint } = error;
        report({ kind: 'warning', message: `TensorFlow is not linked: ${message}` });
        result = { linked: false, device, code, message, ...(hint !== undefined && { hint }) };
      }
      return { data: result, view: (screen) => setupView(result, screen) };
    }),
  );
}

/** Only the flag is an error: a variable or file that prefers wasm does not rule out setting TensorFlow up. */
function demandedDevice({ device }: Settings): 'cpu' | 'cuda' | undefined {
  if (device?.from !== '--device' || device.value === 'auto') return undefined;
  const { value } = device;
  if (value === 'cpu' || value === 'cuda') return value;
  throw new UsageError({
    code: 'nothing_to_set_up',
    message: `--device ${value} needs no setup`,
    hint: 'Give --device cpu or --device cuda, or leave it out.',
  });
}

function isRefusal(error: unknown): error is TracerError {
  return error instanceof TracerError && error.exitCode !== EXIT.usage;
}

function eventOf({ phase, message, bytes, totalBytes }: SetupProgress): EngineEvent {
  return {
    kind: 'progress',
    phase,
    message,
    ...(bytes !== undefined && { done: bytes, unit: 'bytes' as const }),
    ...(totalBytes !== undefined && { total: totalBytes }),
  };
}
