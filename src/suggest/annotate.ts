/** Suggest: a circuit as pins and supernodes, as a person would have made them. */
import { emptyAnnotations, type Annotations } from '../graph/annotations.ts';
import type { SuggestedCircuit } from './suggest.ts';

/** What stands in the notes, so that nobody takes it for a finding. */
const NOTES =
  'Suggested circuit: made by rules from influence, links, labels and examples; nobody has checked it.';

/** Every node is pinned; groups of features, also those of one, are supernodes, since they have a name. */
export function annotationsOfCircuit({
  boxes,
}: Pick<SuggestedCircuit, 'boxes'>): Pick<Annotations, 'pinnedIds' | 'supernodes'> {
  return {
    pinnedIds: boxes.flatMap(({ ids }) => ids),
    supernodes: boxes.flatMap(({ kind, name, ids }) => (kind === 'feature' ? [[name, ...ids]] : [])),
  };
}

/** As the content of a file, marked in its notes. */
export function markedAnnotations(circuit: Pick<SuggestedCircuit, 'boxes'>): Annotations {
  return { ...emptyAnnotations(), ...annotationsOfCircuit(circuit), notes: NOTES };
}
