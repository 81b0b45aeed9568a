/** Page, parts: the splitter between panels, moved by mouse or arrow keys. */
import { setSplit, split } from '../store/ui.ts';

const KEY_STEP = 0.02;

export function Splitter({ side }: { readonly side: 'columns' | 'rows' }) {
  const share = split.value[side];
  const along = side === 'columns' ? 'vertical' : 'horizontal';
  const onPointerMove = (event: PointerEvent & { readonly currentTarget: HTMLElement }) => {
    if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
    const box = event.currentTarget.parentElement!.getBoundingClientRect();
    setSplit(
      side,
      side === 'columns' ? (event.clientX - box.left) / box.width : (event.clientY - box.top) / box.height,
    );
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const steps: Record<string, number> =
      side === 'columns' ? { ArrowLeft: -1, ArrowRight: 1 } : { ArrowUp: -1, ArrowDown: 1 };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    setSplit(side, share + step * KEY_STEP);
  };
  return (
    <div
      class={`splitter ${side}`}
      role="separator"
      tabIndex={0}
      aria-orientation={along}
      aria-label={side === 'columns' ? 'Width of the graph' : 'Height of the graph'}
      aria-valuenow={Math.round(share * 100)}
      aria-valuemin={20}
      aria-valuemax={80}
      onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
      onPointerMove={onPointerMove}
      onKeyDown={onKeyDown}
    />
  );
}
