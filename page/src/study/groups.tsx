/** Page, study: the groups of a column, of which two are compared. */
import type { StudyDetail } from '../../../src/viewer/api.ts';
import { Empty } from '../parts/panel.tsx';
import { number } from '../parts/text.ts';
import { ask, largestGroups, studyView } from '../store/study.ts';
import type { Question } from '../store/study-address.ts';

type Column = StudyDetail['columns'][number];

export function Groups({ columns }: Pick<StudyDetail, 'columns'>) {
  const question = studyView.value?.question ?? null;
  if (columns.length === 0) {
    return (
      <Empty>
        No column of this study has two groups of several graphs each. Columns are those of the list of
        prompts that <code>tracer attribute --prompts</code> was given.
      </Empty>
    );
  }
  const column = columns.find(({ name }) => name === question?.by);
  return (
    <>
      <label class="choice study-by">
        Groups by{' '}
        <select
          id="study-by"
          value={column?.name ?? ''}
          onChange={(event) => {
            const chosen = columns.find(({ name }) => name === event.currentTarget.value);
            if (chosen !== undefined) ask(largestGroups(chosen));
          }}
        >
          {column === undefined && <option value="">{question?.by ?? ''}</option>}
          {columns.map(({ name, groups }) => (
            <option key={name} value={name}>
              {name} ({groups.length})
            </option>
          ))}
        </select>
      </label>
      {column !== undefined && question !== null && <GroupTable column={column} question={question} />}
    </>
  );
}

function GroupTable({ column, question }: { readonly column: Column; readonly question: Question }) {
  return (
    <table class="group-table" id="study-groups">
      <thead>
        <tr>
          <th scope="col">A</th>
          <th scope="col">B</th>
          <th scope="col">{column.name}</th>
          <th scope="col" class="num">
            Graphs
          </th>
          <th scope="col" class="num" title="Mean replacement score">
            Replacement
          </th>
        </tr>
      </thead>
      <tbody>
        {column.groups.map(({ name, n_graphs, replacement, completeness }) => (
          <tr key={name} title={`completeness ${number(completeness)}`}>
            {(['a', 'b'] as const).map((side) => (
              <td key={side}>
                <input
                  type="radio"
                  name={`study-${side}`}
                  aria-label={`${name} as group ${side.toUpperCase()}`}
                  checked={question[side] === name}
                  disabled={n_graphs < 2}
                  onChange={() => ask(withSide(question, side, name))}
                />
              </td>
            ))}
            <th scope="row" title={name}>
              {name}
            </th>
            <td class="num">{n_graphs.toLocaleString('en')}</td>
            <td class="num">{number(replacement)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The group of the other side changes places with it. */
function withSide(question: Question, side: 'a' | 'b', name: string): Question {
  const other = side === 'a' ? 'b' : 'a';
  return {
    ...question,
    [side]: name,
    [other]: question[other] === name ? question[side] : question[other],
  };
}
