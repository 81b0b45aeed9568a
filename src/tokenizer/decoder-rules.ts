/** Tokenizer, decoding: the decoder's description in `tokenizer.json`, checked. */
import * as v from 'valibot';
import { jsonObject } from '../formats/json-object.ts';
import { FOREIGN_DECODER } from './foreign-rules.ts';
import { Replace } from './normalizer.ts';
import { OneCharacter, steps } from './steps.ts';

const Count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const DecoderStep = v.variant('type', [
  Replace,
  jsonObject({ type: v.literal('ByteFallback') }),
  jsonObject({ type: v.literal('Fuse') }),
  jsonObject({ type: v.literal('Strip'), content: OneCharacter, start: Count, stop: v.literal(0) }),
  jsonObject({ type: v.literal('ByteLevel') }),
  jsonObject({
    type: v.literal('Metaspace'),
    replacement: OneCharacter,
    prepend_scheme: v.nullish(v.picklist(['always', 'first', 'never']), 'always'),
  }),
  FOREIGN_DECODER,
]);
type Type = v.InferOutput<typeof DecoderStep>['type'];

/** The only order that is supported: bytes are searched in the replaced pieces, and what is stripped is the whole text. */
const STEP_ORDER: readonly Type[] = ['Replace', 'ByteFallback', 'Fuse', 'Strip'];

/** They make whole texts of pieces. */
const ALONE: readonly Type[] = ['ByteLevel', 'Metaspace', 'WordPiece'];

function isSupported(types: readonly Type[]): boolean {
  if (types.some((type) => ALONE.includes(type))) return types.length === 1;
  const places = types.map((type) => STEP_ORDER.indexOf(type));
  const inOrder = places.every((place, i) => i === 0 || places[i - 1]! <= place);
  // Before `Fuse`, each piece would be stripped.
  return inOrder && (!types.includes('Strip') || types.includes('Fuse'));
}

export const DecoderSchema = v.pipe(
  steps('decoders', DecoderStep),
  v.check(
    (list) => isSupported(list.map(({ type }) => type)),
    `expected in the order ${STEP_ORDER.join(', ')} (Strip after a Fuse), or ${ALONE.join(', ')} alone`,
  ),
);
export type DecoderRules = v.InferOutput<typeof DecoderSchema>;
