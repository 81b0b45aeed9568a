/** Page, dialog: the name of a supernode. */
import { useState } from 'preact/hooks';
import { namedSupernode } from '../actions.ts';
import { announce, dialog } from '../store/ui.ts';
import { annotations, renameSupernode } from '../store/annotations.ts';

const MOST_CHARACTERS = 200;

export function NameSupernode() {
  const index = namedSupernode.value ?? -1;
  const supernode = annotations.value.supernodes[index];
  const [name, setName] = useState(supernode?.[0] ?? '');
  if (supernode === undefined) return null;
  return (
    <form
      class="name-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (name.trim() !== '' && name.trim() !== supernode[0]) renameSupernode(index, name.trim());
        dialog.value = null;
        announce(`Supernode ${name.trim()} of ${supernode.length - 1} nodes.`);
      }}
    >
      <input
        type="text"
        id="supernode-name"
        class="field"
        aria-label="Name of the supernode"
        maxLength={MOST_CHARACTERS}
        value={name}
        onInput={(event) => setName(event.currentTarget.value)}
        onFocus={(event) => event.currentTarget.select()}
        autoFocus
      />
      <button type="submit" class="button primary">
        Name it
      </button>
    </form>
  );
}
