/** The strongest feature of each token of two prompts, through the library: `node examples/features.mjs` after a build. */
import { openSession, runIn } from 'tracer';

// A session holds the weights, for as many questions as wanted; in TypeScript, `using` disposes it by itself.
const session = await openSession({ model: 'embedded' });
try {
  for (const prompt of ['Hello, world!', 'The capital of the state']) {
    const { top, features, tokens } = await runIn(session, { input: { prompt }, top: 1, features: 1 });
    console.log(`${JSON.stringify(prompt)} goes on with ${JSON.stringify(top[0].text)}`);
    for (const { position, layer, feature, activation } of features) {
      const { text } = tokens[position];
      console.log(`  ${JSON.stringify(text)}: layer ${layer}, feature ${feature}, ${activation.toFixed(2)}`);
    }
  }
} finally {
  session[Symbol.dispose]();
}
