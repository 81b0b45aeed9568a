/** Viewer: the work of the job `contrast`. It runs in a process of its own; what was measured last is kept. */
import { contrastInProcess } from '../engine/study/contrast-process.ts';
import type { MeasuredContrast } from '../engine/study/measure-contrast.ts';
import { columnOf } from '../study/selection.ts';
import type { ContrastJob, StudyContrast } from './api.ts';
import type { FeatureLookup } from './feature-lookup.ts';
import type { Work, WorkContext } from './jobs.ts';
import type { FoundStudy, Studies } from './studies.ts';

/** Features, and links, that a page is sent: what differs is among the first. */
const MOST_LISTED = 2_000;
const MOST_KEPT = 16;

export class Contrasts {
  readonly #studies: Studies;
  readonly #features: FeatureLookup;
  /** By question and version of the study, in the order of the last use. */
  readonly #kept = new Map<string, MeasuredContrast>();

  constructor(studies: Studies, features: FeatureLookup) {
    this.#studies = studies;
    this.#features = features;
  }

  /** Study and column are checked before the job is queued. */
  async work(job: ContrastJob): Promise<Work> {
    const study = await this.#studies.find(job.study);
    columnOf(study, job.by);
    return async (context) => {
      const measured = await this.#measured(study, job, context);
      return { kind: 'contrast', result: await this.#shown(study, measured) };
    };
  }

  async #measured(study: FoundStudy, job: ContrastJob, context: WorkContext): Promise<MeasuredContrast> {
    const { by, a, b } = job;
    const key = JSON.stringify([study.version, by, a, b]);
    const measured =
      this.#kept.get(key) ??
      (await contrastInProcess({
        ...{ study: study.folder, groups: { by, a, b }, top: MOST_LISTED },
        ...context,
      }));
    this.#kept.delete(key);
    this.#kept.set(key, measured);
    for (const old of [...this.#kept.keys()].slice(0, -MOST_KEPT)) this.#kept.delete(old);
    return measured;
  }

  /** Labels are those of now. */
  async #shown({ name, description }: FoundStudy, measured: MeasuredContrast): Promise<StudyContrast> {
    const { by, a, b, permutations, seed, level, n_tested, n_all, n_significant, features, links } = measured;
    const places = new Map(
      features.map(({ layer, feature }) => [`${layer}/${feature}`, [layer, feature] as const]),
    );
    for (const { source, target } of links) {
      for (const end of [source, target]) {
        const [layer, feature] = end.split('/').map(Number);
        if (feature !== undefined) places.set(end, [layer!, feature]);
      }
    }
    return {
      ...{ study: name, by: by!, a, b, permutations, seed, level, n_tested, n_all, n_significant },
      ...{ features, links },
      labels: await this.#features.labelsOfStudy(description, [...places.values()]),
    };
  }
}
