/** Page, panel Attention: a score by groups of query sources (rows) and key sources (columns), a group a layer. */
import type { HeadAnswer } from '../../../../src/viewer/api.ts';
import { number } from '../../parts/text.ts';
import { largest } from './bar.tsx';

export function GroupTable({ answer: { by, groups } }: { readonly answer: HeadAnswer }) {
  if (by === undefined) return null;
  const { values } = by;
  const names = groups.layer;
  const all = names.map((_, i) => i);
  const rows = all.filter((i) => values[i]!.some((value) => value !== 0));
  const columns = all.filter((i) => values.some((row) => row[i] !== 0));
  const most = largest(values.flat());
  return (
    <details>
      <summary>Groups by layer</summary>
      <div class="groups" tabIndex={0} role="region" aria-label="Groups by layer">
        <table id="attention-groups">
          <caption class="muted small">Rows are sources of the query, columns sources of the key</caption>
          <thead>
            <tr>
              <td />
              {columns.map((i) => (
                <th scope="col" key={i} class={greyClass(names[i]!)}>
                  {names[i]}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row}>
                <th scope="row" class={greyClass(names[row]!)}>
                  {names[row]}
                </th>
                {columns.map((column) => {
                  const value = values[row]![column]!;
                  return (
                    <td
                      key={column}
                      class={value < 0 ? 'negative' : 'positive'}
                      style={{ '--share': `${most === 0 ? 0 : (Math.abs(value) / most) * 100}%` }}
                    >
                      {value === 0 ? '' : number(Number(value.toPrecision(2)))}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

function greyClass(name: string): string | undefined {
  return /^(?:error|bias|first)\b/.test(name) ? 'muted' : undefined;
}
