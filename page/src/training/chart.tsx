/** Page, training: curves of one quantity over tokens, one for each layer, drawn as SVG. */
import { scaleLinear } from 'd3-scale';

export interface Curve {
  /** As the legend names it. */
  readonly name: string;
  readonly color: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Measured on held-out tokens: drawn as dots. */
  readonly dots: readonly (readonly [x: number, y: number])[];
}

const [WIDTH, HEIGHT] = [420, 190];
const MARGIN = { left: 52, right: 20, top: 8, bottom: 24 } as const;
const TICKS = { x: 5, y: 4 } as const;

export function Chart(props: {
  readonly id: string;
  readonly title: string;
  readonly curves: readonly Curve[];
  readonly xMost: number;
  readonly format: (value: number) => string;
}) {
  const { id, title, curves, xMost, format } = props;
  const values = curves
    .flatMap(({ points, dots }) => [...points, ...dots].map(([, y]) => y))
    .filter(Number.isFinite);
  const [least, most] = rangeOf(values);
  const x = scaleLinear([0, xMost], [MARGIN.left, WIDTH - MARGIN.right]);
  const y = scaleLinear([least, most], [HEIGHT - MARGIN.bottom, MARGIN.top])
    .nice(TICKS.y)
    .clamp(true);
  const last = curves.map(({ name, points }) => `${name}: ${lastText(points, format)}`).join('; ');
  return (
    <figure class="chart" id={id}>
      <figcaption>{title}</figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={`${title} over tokens. Last values: ${last}`}
      >
        {y.ticks(TICKS.y).map((value) => (
          <g key={value}>
            <line class="chart-grid" x1={MARGIN.left} x2={WIDTH - MARGIN.right} y1={y(value)} y2={y(value)} />
            <text
              class="chart-tick"
              x={MARGIN.left - 6}
              y={y(value)}
              text-anchor="end"
              dominant-baseline="middle"
            >
              {format(value)}
            </text>
          </g>
        ))}
        {x.ticks(TICKS.x).map((value) => (
          <text class="chart-tick" key={value} x={x(value)} y={HEIGHT - 8} text-anchor="middle">
            {x.tickFormat(TICKS.x, '~s')(value)}
          </text>
        ))}
        {curves.map(({ name, color, points, dots }) => (
          <g key={name}>
            <title>{name}</title>
            <path class="chart-curve" stroke={color} d={pathOf(points, x, y)} />
            {dots.map(([at, value]) => (
              <circle key={at} cx={x(at)} cy={y(value)} r={3} fill={color} />
            ))}
          </g>
        ))}
      </svg>
    </figure>
  );
}

type Scale = (value: number) => number;

/** Passes over the corpus are curves of their own: a line does not lead back. */
function pathOf(points: Curve['points'], x: Scale, y: Scale): string {
  return points
    .filter(([, value]) => Number.isFinite(value))
    .map(([at, value], i) => `${i === 0 ? 'M' : 'L'}${x(at).toFixed(1)},${y(value).toFixed(1)}`)
    .join('');
}

/** Of quantities whose first values are far off, without these: 2 and 98 of 100. */
function rangeOf(values: readonly number[]): [number, number] {
  if (values.length === 0) return [0, 1];
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))]!;
  const [least, most] = [at(0.02), at(0.98)];
  return least === most ? [least - 0.5, most + 0.5] : [least, most];
}

function lastText(points: Curve['points'], format: (value: number) => string): string {
  const last = points.at(-1);
  return last === undefined ? 'none' : format(last[1]);
}
