/** The NVIDIA cards of this machine, as the driver's `nvidia-smi` tells, and which of them TensorFlow sees. */
import { NotFoundError } from '../errors.ts';
import { runCommand } from './install/command.ts';

export interface CudaCardFinding {
  /** In the order of the bus, as `cuda:N` and `nvidia-smi` count. */
  readonly index: number;
  readonly name: string;
  readonly uuid: string;
  readonly total_bytes: number;
  readonly free_bytes: number;
}

const QUERY = ['--query-gpu=index,name,uuid,memory.total,memory.free', '--format=csv,noheader,nounits'];
const MIB = 1024 * 1024;

/** Undefined where `nvidia-smi` is not there or fails. */
export async function listCudaCards(signal?: AbortSignal): Promise<CudaCardFinding[] | undefined> {
  const finished = await runCommand('nvidia-smi', QUERY, { signal });
  return finished?.exitCode === 0 ? parseCards(finished.stdout) : undefined;
}

/** Lines such as `0, NVIDIA H200, GPU-5c1f…, 143771, 143200`, sizes in MiB (`[N/A]` where a card does not tell: 0). */
export function parseCards(lines: string): CudaCardFinding[] {
  const cards: CudaCardFinding[] = [];
  for (const line of lines.split('\n').filter((text) => text.trim() !== '')) {
    const [index, name, uuid, total, free] = line.split(',').map((field) => field.trim());
    const bytes = (mebibytes: string | undefined): number => (Number(mebibytes) || 0) * MIB;
    cards.push({
      index: Number(index),
      name: name ?? '',
      uuid: uuid ?? '',
      total_bytes: bytes(total),
      free_bytes: bytes(free),
    });
  }
  return cards;
}

/** Once a process: TensorFlow reads the environment when it is loaded. */
let shown: number | undefined;

/**
 * Lets the TensorFlow of this process see one card, and use it as other programs do: it takes memory when it needs it, not all at the
 * start, and multiplies float32 in float32 (TensorFlow lets cards round it to the 10 bits of TF32). To be called before it is loaded.
 * `card` counts within CUDA_VISIBLE_DEVICES where that is set.
 * @throws NotFoundError there is no such card
 */
export function showCard(card: number, cards: readonly CudaCardFinding[] | undefined): void {
  if (shown === card) return;
  if (shown !== undefined)
    throw new Error(`this process uses card cuda:${shown}; cuda:${card} needs a process of its own`);
  setCard(process.env, card, cards);
  shown = card;
}

/** The environment that `showCard` gives TensorFlow. */
export function setCard(
  env: NodeJS.ProcessEnv,
  card: number,
  cards: readonly CudaCardFinding[] | undefined,
): void {
  // CUDA shows the cards up to the first name that is none.
  const visible = env['CUDA_VISIBLE_DEVICES']
    ?.split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && name !== '-1');
  const n = visible?.length ?? cards?.length;
  if (n !== undefined && card >= n) {
    const names = cards?.map(({ index, name }) => `cuda:${index} is ${name}`).join(', ');
    const among = visible ? `, of which CUDA_VISIBLE_DEVICES shows ${visible.join(', ') || 'none'}` : '';
    throw new NotFoundError({
      code: 'no_cuda_card',
      message: `there is no card cuda:${card} (${names ?? 'nvidia-smi does not tell which there are'}${among})`,
      hint: n === 0 ? 'Use --device cpu.' : `Use cuda:0${n > 1 ? ` to cuda:${n - 1}` : ''}.`,
    });
  }
  env['CUDA_VISIBLE_DEVICES'] = visible?.[card] ?? String(card);
  // CUDA's own order is by speed.
  env['CUDA_DEVICE_ORDER'] ??= 'PCI_BUS_ID';
  env['TF_FORCE_GPU_ALLOW_GROWTH'] ??= 'true';
  env['NVIDIA_TF32_OVERRIDE'] ??= '0';
}

/** The card that CUDA_VISIBLE_DEVICES names, by number or UUID, which may be shortened. */
export function shownCard(cards: readonly CudaCardFinding[]): CudaCardFinding | undefined {
  const name = process.env['CUDA_VISIBLE_DEVICES'] ?? '0';
  return cards.find(({ index, uuid }) => String(index) === name || (name !== '' && uuid.startsWith(name)));
}
