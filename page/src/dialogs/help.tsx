/** Page, dialog: help on keys and gestures. */
import { COMMANDS, type Command } from '../keyboard/commands.ts';

const SHOWN: Readonly<Record<string, string>> = {
  ArrowLeft: '←',
  ArrowRight: '→',
  ArrowUp: '↑',
  ArrowDown: '↓',
  Escape: 'Esc',
  'Ctrl+z': 'Ctrl+Z',
  'Ctrl+Z': 'Ctrl+Shift+Z',
  'Ctrl+y': 'Ctrl+Y',
  '-': '−',
  G: 'Shift+G',
  N: 'Shift+N',
};

const MOUSE = [
  ['click', 'select a node; click on nothing to let go'],
  ['Ctrl click, double click', 'pin or unpin'],
  ['wheel, drag', 'zoom and move the graph'],
  ['drag a box', 'move it in the subgraph; onto another box: group'],
  ['Shift click on a box', 'mark it for grouping'],
] as const;

const SUBGRAPH_KEYS = [
  ['←↑↓→', 'move the focused box'],
  ['Enter', 'select its node'],
  ['g', 'mark the box'],
  ['F2', 'rename the supernode'],
  ['u', 'ungroup'],
  ['Delete', 'unpin'],
] as const;

export function Help() {
  const groups = [...new Set(COMMANDS.map(({ group }) => group))];
  return (
    <div class="help">
      {groups.map((group) => (
        <section key={group}>
          <h3>{group}</h3>
          <dl>
            {COMMANDS.filter((command) => command.group === group).map((command) => (
              <Keys key={command.title} command={command} />
            ))}
          </dl>
        </section>
      ))}
      <section>
        <h3>On a box of the subgraph</h3>
        <dl>
          {SUBGRAPH_KEYS.map(([keys, title]) => (
            <div key={keys}>
              <dt>
                <kbd>{keys}</kbd>
              </dt>
              <dd>{title}</dd>
            </div>
          ))}
        </dl>
      </section>
      <section>
        <h3>Mouse</h3>
        <dl>
          {MOUSE.map(([gesture, title]) => (
            <div key={gesture}>
              <dt>{gesture}</dt>
              <dd>{title}</dd>
            </div>
          ))}
        </dl>
      </section>
    </div>
  );
}

function Keys({ command }: { readonly command: Command }) {
  return (
    <div>
      <dt>
        {command.keys.map((key) => (
          <kbd key={key}>{SHOWN[key] ?? key}</kbd>
        ))}
      </dt>
      <dd>{command.title}</dd>
    </div>
  );
}
