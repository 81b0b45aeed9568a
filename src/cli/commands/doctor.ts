/** `tracer doctor`: what works on this machine, what does not and why. */
import type { Command } from 'commander';
import { EXIT } from '../../errors.ts';
import { perform } from '../perform.ts';
import type { Shell } from '../shell.ts';

export function addDoctor(program: Command, shell: Shell): void {
  const command = program
    .command('doctor')
    .description('report what works on this machine, what does not and why');
  command.action(() =>
    perform(shell, command, async ({ common }) => {
      const [{ examine }, { doctorView }] = await Promise.all([
        import('../../backend/doctor.ts'),
        import('../../report/doctor-view.ts'),
      ]);
      const report = await examine({ cacheDir: common.cacheDir, signal: shell.signal });
      return {
        data: report,
        view: (screen) => doctorView(report, screen),
        exitCode: report.works ? EXIT.done : EXIT.unexpected,
      };
    }),
  );
}
