/** Viewer: what the page reads of answers about attention that were kept in a file; other fields stay as they are. */
import * as v from 'valibot';
import { looseJsonObject } from '../formats/json-object.ts';
import type { Schema } from '../formats/parsed-text.ts';
import type { HeadAnswer, HeadsAnswer, LinkAnswer, NodeAnswer } from './api.ts';

const Values = v.array(v.number());
const Loading = looseJsonObject({ layer: v.number(), head: v.number(), value: v.number() });
const Loadings = v.array(Loading);
const LoadingsByKey = v.array(v.intersect([Loading, looseJsonObject({ key: v.number() })]));
const Source = looseJsonObject({
  id: v.string(),
  kind: v.string(),
  position: v.nullable(v.number()),
  token: v.nullable(v.string()),
  label: v.nullable(v.string()),
});
const End = looseJsonObject({ id: v.string(), kind: v.string(), position: v.number(), token: v.string() });
const Place = looseJsonObject({ position: v.number(), token: v.string() });
const Token = looseJsonObject({ position: v.number(), id: v.number(), text: v.string() });
const Value = looseJsonObject({ value: v.number() });

export const LinkSchema = looseJsonObject({
  tokens: v.array(Token),
  edges: v.pipe(
    v.array(
      looseJsonObject({
        source: End,
        target: End,
        weight: v.number(),
        direct: v.number(),
        last: LoadingsByKey,
        first: v.array(v.intersect([Loading, looseJsonObject({ query: v.number() })])),
        through: Loadings,
        only: Loadings,
        rest_last: v.number(),
        rest_first: v.number(),
      }),
    ),
    v.length(1),
  ),
}) as unknown as Schema<LinkAnswer>;

export const NodeSchema = looseJsonObject({
  tokens: v.array(Token),
  node: End,
  total: v.number(),
  direct: v.number(),
  heads: LoadingsByKey,
  rest: v.number(),
}) as unknown as Schema<NodeAnswer>;

export const HeadSchema = looseJsonObject({
  tokens: v.array(Token),
  layer: v.number(),
  head: v.number(),
  query: Place,
  key: Place,
  visible: v.tuple([v.number(), v.number()]),
  score: v.number(),
  pattern: v.number(),
  pattern_row: Values,
  pattern_rows: v.exactOptional(v.array(Values)),
  contrasts: looseJsonObject({ mean: v.nullable(v.number()), pattern: v.nullable(v.number()) }),
  against: v.nullable(v.union([v.string(), v.number()])),
  total: v.number(),
  pairs: v.array(looseJsonObject({ query: Source, key: Source, value: v.number() })),
  rest: v.number(),
  query_marginal: v.array(v.intersect([Source, Value])),
  key_marginal: v.array(v.intersect([Source, Value])),
  groups: looseJsonObject({ layer: v.array(v.string()) }),
  by: looseJsonObject({ grouping: v.literal('layer'), values: v.array(Values) }),
  logit_effects: v.array(looseJsonObject({ text: v.string(), direct: v.number(), total: v.number() })),
}) as unknown as Schema<HeadAnswer>;

export const HeadsSchema = looseJsonObject({
  target: looseJsonObject({ text: v.string() }),
  heads: v.array(
    looseJsonObject({
      layer: v.number(),
      head: v.number(),
      direct: v.number(),
      total: v.number(),
      query: v.number(),
      key: v.number(),
    }),
  ),
}) as unknown as Schema<HeadsAnswer>;
