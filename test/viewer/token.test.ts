import { describe, expect, it } from '@jest/globals';
import { networkInterfaces } from 'node:os';
import { ownNames } from '../../src/viewer/access.ts';
import { ask, errorCode, openedViewer } from './opened.ts';

function tokenOf(address: string): string {
  return new URL(address).searchParams.get('token')!;
}

describe('a viewer on an address that was given', () => {
  it('lets nobody in without the token of its address', async () => {
    await using opened = await openedViewer(undefined, { host: '127.0.0.1' });
    const { address, port } = opened.viewer;
    const token = tokenOf(address);
    expect(token).toMatch(/^[\w-]{43}$/);
    const wrong = [
      '',
      '?token=',
      `?token=${token.slice(1)}`,
      `?token=${token}x`,
      `?token=${token.toUpperCase()}`,
    ];
    for (const query of wrong) {
      for (const place of ['/', '/api/graphs', '/assets/app.js']) {
        const reply = await ask(port, place + query);
        expect(reply.status).toBe(401);
        expect(errorCode(reply)).toBe('token_needed');
        expect(reply.text).not.toContain(token);
        expect(reply.headers).not.toHaveProperty('set-cookie');
      }
    }
    expect((await ask(port, `/api/graphs?token=${token}`)).status).toBe(200);
  });

  it('gives a cookie for the token that scripts cannot read and other sites cannot use', async () => {
    await using opened = await openedViewer(undefined, { host: '127.0.0.1' });
    const { address, port } = opened.viewer;
    const reply = await ask(port, `/api/info?token=${tokenOf(address)}`);
    const [cookie] = reply.headers['set-cookie']!;
    expect(cookie).toMatch(/; HttpOnly/);
    expect(cookie).toMatch(/; SameSite=Strict/);
    const value = cookie!.split(';')[0]!;
    expect((await ask(port, '/api/graphs', { headers: { cookie: value } })).status).toBe(200);
    const other = value.replace(/=.*/, '=guessed');
    expect((await ask(port, '/api/graphs', { headers: { cookie: other } })).status).toBe(401);
  });

  it('takes the token of a program in the header that is meant for it', async () => {
    await using opened = await openedViewer(undefined, { host: '127.0.0.1' });
    const { address, port } = opened.viewer;
    const asked = (token: string) =>
      ask(port, '/api/graphs', { headers: { authorization: `Bearer ${token}` } });
    expect((await asked(tokenOf(address))).status).toBe(200);
    expect((await asked('guessed')).status).toBe(401);
  });

  it('still refuses foreign names and pages that have the token', async () => {
    await using opened = await openedViewer(undefined, { host: '127.0.0.1' });
    const { address, port } = opened.viewer;
    const place = `/api/graphs?token=${tokenOf(address)}`;
    for (const headers of [{ host: 'elsewhere.example' }, { origin: 'http://elsewhere.example' }]) {
      expect((await ask(port, place, { headers })).status).toBe(403);
    }
  });

  it('has another token each time', async () => {
    await using first = await openedViewer(undefined, { host: '127.0.0.1' });
    await using second = await openedViewer(undefined, { host: '127.0.0.1' });
    expect(tokenOf(first.viewer.address)).not.toBe(tokenOf(second.viewer.address));
  });
});

describe('a viewer on every address', () => {
  it('prints one that it can be reached by', async () => {
    await using opened = await openedViewer(undefined, { host: '0.0.0.0' });
    const { address } = opened.viewer;
    expect(new URL(address).hostname).not.toBe('0.0.0.0');
    expect((await fetch(address.replace('/?', '/api/info?'))).status).toBe(200);
  });
});

describe('a viewer without an address given', () => {
  it('listens on this machine only, and needs no token', async () => {
    await using opened = await openedViewer();
    expect(opened.viewer.address).toBe(`http://127.0.0.1:${opened.viewer.port}/`);
    expect(opened.viewer.hasToken).toBe(false);
    const others = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .filter(({ internal, family }) => !internal && family === 'IPv4');
    for (const { address } of others) {
      await expect(fetch(`http://${address}:${opened.viewer.port}/api/info`)).rejects.toThrow();
    }
  });
});

describe('the names that a server answers to', () => {
  it('are its own address, and all of this machine where it listens on all', () => {
    expect([...ownNames('192.0.2.7')]).toEqual(['192.0.2.7']);
    expect([...ownNames('Box.Example')]).toEqual(['box.example']);
    expect([...ownNames('2001:db8::1')]).toEqual(['[2001:db8::1]']);
    for (const every of ['0.0.0.0', '::']) {
      expect([...ownNames(every)]).toEqual(expect.arrayContaining(['localhost', '127.0.0.1']));
      expect([...ownNames(every)]).not.toContain('elsewhere.example');
    }
  });
});
