/** The listing of Neuronpedia's exports. */
import { describe, expect, it } from '@jest/globals';
import { neuronpediaAddress } from '../../src/neuronpedia/address.ts';
import { exportsAddress, exportUrl, listExport, parseListing } from '../../src/neuronpedia/exports.ts';
import { NeuronpediaHttp } from '../../src/neuronpedia/http.ts';
import { parseSourceTemplate } from '../../src/neuronpedia/source-name.ts';
import { exportFilesOf, NP_SOURCE } from '../support/neuronpedia-exports.ts';
import { NeuronpediaServer } from '../support/neuronpedia-server.ts';

const TEMPLATE = parseSourceTemplate(NP_SOURCE, '--source');

function clientOf(server: NeuronpediaServer): NeuronpediaHttp {
  return new NeuronpediaHttp(
    neuronpediaAddress({ baseUrl: server.baseUrl }, { NEURONPEDIA_API_KEY: 'sk-np-1' }),
    {
      proxyFor: () => undefined,
      onNotice: () => undefined,
      retry: { firstWaitMs: 1 },
      msBetween: 0,
    },
  );
}

describe('the listing of an export', () => {
  it('is read to its last page; only batches of its own folder are taken, features first', async () => {
    await using server = await NeuronpediaServer.start();
    const files = exportFilesOf(1, [0, 1, 2, 10]);
    for (const [path, file] of files) server.stored.set(path, file);
    const folder = '/v1/some-model/1-some-transcoder';
    for (const other of [
      'explanations-gpt-4o-mini/batch-10',
      'explanations-gpt-4o-mini/batch-9',
      'other/batch-0',
      'features/x',
    ])
      server.stored.set(`${folder}/${other}.jsonl.gz`, { body: Buffer.from('x'), encoding: undefined });
    server.stored.set('/v1/some-model/11-some-transcoder/features/batch-0.jsonl.gz', {
      body: Buffer.alloc(1),
      encoding: undefined,
    });
    const listed = await listExport(clientOf(server), server.storageUrl, TEMPLATE, 1);
    expect(listed.map(({ path }) => path)).toEqual([
      'features/batch-0.jsonl.gz',
      'features/batch-1.jsonl.gz',
      'explanations/batch-0.jsonl.gz',
      'explanations/batch-1.jsonl.gz',
      'explanations-gpt-4o-mini/batch-9.jsonl.gz',
      'explanations-gpt-4o-mini/batch-10.jsonl.gz',
      'activations/batch-0.jsonl.gz',
      'activations/batch-1.jsonl.gz',
    ]);
    for (const { path, bytes } of listed)
      expect(bytes).toBe(server.stored.get(`${folder}/${path}`)!.body.length);
    expect(server.seen('storage GET /').length).toBeGreaterThan(2);
    expect(JSON.stringify(server.seen('storage').map(({ headers }) => headers))).not.toContain('sk-np-1');
    expect(await listExport(clientOf(server), server.storageUrl, TEMPLATE, 7)).toEqual([]);
  });

  it.each([
    ['a web page', '<html>Sign in</html>'],
    ['nothing', ''],
    ['JSON', '{"Contents":[]}'],
  ])('is not %s', async (_, body) => {
    await using server = await NeuronpediaServer.start();
    server.inject('storage GET /', { kind: 'body', body });
    await expect(listExport(clientOf(server), server.storageUrl, TEMPLATE, 1)).rejects.toMatchObject({
      code: 'bad_answer',
      exitCode: 4,
      message: expect.stringContaining('is no listing of a bucket') as unknown as string,
    });
  });

  it('leaves out what has no size, no tag or a name that cannot be', () => {
    const entry = (parts: string): string => `<Contents>${parts}</Contents>`;
    const text = [
      entry('<Key>a</Key><Size>3</Size><ETag>"e-1"</ETag>'),
      entry('<Key>b</Key><Size>-3</Size><ETag>"e"</ETag>'),
      entry('<Key>c</Key><ETag>"e"</ETag>'),
      entry('<Key>d</Key><Size>3</Size><ETag>../../e</ETag>'),
      entry('<Key>%E0%A4%A</Key><Size>3</Size><ETag>e</ETag>'),
      '<Contents><Key>f</Key>',
    ].join('');
    const listing = parseListing(
      `<ListBucketResult>${text}<IsTruncated>false</IsTruncated></ListBucketResult>`,
      'x',
    );
    expect(listing).toEqual({ entries: [{ key: 'a', bytes: 3, etag: 'e-1' }], next: undefined });
  });
});

describe('the address of the exports', () => {
  it('is that of the bucket unless the environment names another', () => {
    const site = exportsAddress({});
    expect(exportUrl(site, TEMPLATE, 3, 'features/batch-0.jsonl.gz')).toBe(
      'https://neuronpedia-datasets.s3.us-east-1.amazonaws.com/v1/some-model/3-some-transcoder/features/batch-0.jsonl.gz',
    );
    expect(exportsAddress({ NEURONPEDIA_EXPORTS_URL: 'http://localhost:9/np/' })).toBe(
      'http://localhost:9/np',
    );
    expect(() => exportsAddress({ NEURONPEDIA_EXPORTS_URL: 'ftp://x' })).toThrow(/NEURONPEDIA_EXPORTS_URL/);
  });
});
