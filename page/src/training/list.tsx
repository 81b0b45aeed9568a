/** Page, training: the list of trainings in the served folders. */
import { onListKey, ROW_BUTTON } from '../parts/list-keys.ts';
import { time } from '../parts/text.ts';
import { openTraining, trainings } from '../store/trainings.ts';

export function TrainingList() {
  return (
    <ul class="rows" aria-label="Trainings" onKeyDown={onListKey}>
      {trainings.value.map(({ name, updated_ms, has_ended }) => (
        <li class="row short-row" key={name}>
          <button type="button" class={ROW_BUTTON} onClick={() => openTraining(name)}>
            <span class="short-row-name">{name}</span>
            <span class="short-row-facts">
              {has_ended ? 'ended' : 'not ended'} · {time(updated_ms)}
            </span>
          </button>
        </li>
      ))}
    </ul>
  );
}
