/** Page, parts: a slider with its name and value. */

export function Slider(props: {
  readonly label: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly text: string;
  readonly title?: string;
  /** Called while it moves. */
  readonly onMove: (value: number) => void;
  /** Called when it is released. */
  readonly onRest?: (value: number) => void;
}) {
  const { label, value, min, max, step, text, title, onMove, onRest } = props;
  return (
    <label class="slider" title={title}>
      <span class="slider-label">{label}</span>
      <input
        type="range"
        min={min}
        max={max}
        step={step}
        value={value}
        aria-valuetext={text}
        onInput={(event) => onMove(event.currentTarget.valueAsNumber)}
        onChange={(event) => onRest?.(event.currentTarget.valueAsNumber)}
      />
      <output class="slider-value">{text}</output>
    </label>
  );
}
