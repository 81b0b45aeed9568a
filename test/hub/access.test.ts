import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { NotFoundError } from '../../src/errors.ts';
import { resolveFiles } from '../../src/hub/resolve.ts';
import { type ClientSetup, errorOf, HubFixture, REPO } from './setup.ts';

const TOKEN = 'hf_the_one_that_accepted';
const PAGE = 'https://huggingface.co/owner/model';

async function refusalOf(
  hub: HubFixture,
  setup: ClientSetup = {},
  repo = REPO,
  revision = 'main',
): Promise<NotFoundError> {
  const error = await errorOf(
    resolveFiles({ kind: 'hub', repo, revision }, { wanted: () => true, client: hub.client(setup) }),
  );
  if (!(error instanceof NotFoundError)) throw error;
  return error;
}

describe('a gated model', () => {
  it('without a token names the page of its terms and how to give one', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, { 'config.json': '{}' }, { gatedFor: [TOKEN] });
    const { exitCode, code, message, hint } = await refusalOf(hub);
    expect({ exitCode, code }).toEqual({ exitCode: 3, code: 'gated' });
    expect(message).toContain('401, no access token was sent');
    for (const part of [PAGE, 'HF_TOKEN', 'hf auth login']) expect(hint).toContain(part);
  });

  it('with the token of somebody who did not accept says which token was sent, not what it is', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, { 'config.json': '{}' }, { gatedFor: [TOKEN] });
    const { code, message, hint } = await refusalOf(hub, { token: 'hf_somebody_else' });
    expect(code).toBe('gated');
    expect(message).toContain('403, the access token from HF_TOKEN was sent');
    expect(hint).toContain(PAGE);
    expect(`${message} ${hint}`).not.toContain('hf_somebody_else');
  });

  it('is fetched with a token that accepted, from the file that `hf auth login` writes', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, { 'config.json': '{}' }, { gatedFor: [TOKEN] });
    mkdirSync(join(hub.root, 'home'));
    writeFileSync(join(hub.root, 'home/token'), TOKEN);
    const { files } = await resolveFiles(
      { kind: 'hub', repo: REPO },
      { wanted: () => true, client: hub.client() },
    );
    expect(files).toEqual([{ path: 'config.json', bytes: 2, status: 'downloaded' }]);
  });
});

describe('the access token', () => {
  it('goes to the Hub and to no other host', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, { 'model.safetensors': 'weights' });
    await resolveFiles(
      { kind: 'hub', repo: REPO },
      { wanted: () => true, client: hub.client({ token: TOKEN }) },
    );
    const sentTo = (host: string): Set<string | undefined> =>
      new Set(hub.server.seen(host).map(({ authorization }) => authorization));
    expect(sentTo('hub ')).toEqual(new Set([`Bearer ${TOKEN}`]));
    expect(sentTo('cdn ')).toEqual(new Set([undefined]));
  });
});

describe('what is not there', () => {
  it.each([
    ['without a token', {}, 'not_authorised'],
    ['with a token', { token: TOKEN }, 'repo_not_found'],
  ])('is named when it is the repository, %s', async (_, setup, code) => {
    await using hub = await HubFixture.start();
    const error = await refusalOf(hub, setup, 'owner/nothing');
    expect(error).toMatchObject({ exitCode: 3, code, message: expect.stringContaining('owner/nothing') });
    expect(error.hint).toContain('hf auth login');
  });

  it('is named when it is the revision', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, { 'config.json': '{}' });
    const error = await refusalOf(hub, {}, REPO, 'v2');
    expect(error).toMatchObject({
      exitCode: 3,
      code: 'revision_not_found',
      message: expect.stringContaining("'v2'"),
    });
  });

  it('is named when it is a file that the listing still has', async () => {
    await using hub = await HubFixture.start();
    hub.server.commit(REPO, { 'config.json': '{}' });
    hub.server.inject('/resolve/', { kind: 'status', status: 404 });
    const error = await refusalOf(hub);
    expect(error).toMatchObject({
      code: 'file_not_found',
      message: expect.stringContaining("'config.json'"),
    });
  });
});

describe('an answer that is no answer of the Hub', () => {
  it('is a bad file when it is a web page', async () => {
    await using hub = await HubFixture.start();
    hub.server.inject('/api/', { kind: 'page', text: '<html>Sign in to this network</html>' });
    const error = await errorOf(
      resolveFiles({ kind: 'hub', repo: REPO }, { wanted: () => true, client: hub.client() }),
    );
    expect(error).toMatchObject({ exitCode: 4, code: 'bad_answer' });
  });

  it('is an error of the network when it goes round in circles', async () => {
    await using hub = await HubFixture.start();
    hub.server.inject(
      '/api/',
      { kind: 'status', status: 302, headers: { location: '/api/models/a/b/revision/main' } },
      99,
    );
    const error = await errorOf(
      resolveFiles({ kind: 'hub', repo: REPO }, { wanted: () => true, client: hub.client() }),
    );
    expect(error).toMatchObject({ exitCode: 69, message: expect.stringContaining('redirected') });
  });

  it('is named with its status when it is none of the known ones', async () => {
    await using hub = await HubFixture.start();
    hub.server.inject('/api/', { kind: 'status', status: 451 });
    const error = await errorOf(
      resolveFiles({ kind: 'hub', repo: REPO }, { wanted: () => true, client: hub.client() }),
    );
    expect(error).toMatchObject({ exitCode: 69, message: expect.stringContaining('451') });
  });
});
