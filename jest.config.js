/** Only `npm run test:full` runs these: half a minute and more on a quick machine, for code that seldom changes. */
const SLOW = ['test/evaluation/embedded', 'test/training/(?:resume|interchange|training)'];

/** Tests run as ES modules; TypeScript is stripped by swc, types are checked by `npm run typecheck`. */
export default {
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  testEnvironment: '<rootDir>/test/support/environment.js',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'es6' } },
    ],
  },
  testPathIgnorePatterns: ['/node_modules/', ...(process.env['TRACER_TEST_FULL'] === '1' ? [] : SLOW)],
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  maxWorkers: 2,
  // A test takes seconds; on a machine that is busy with other things, or a WebGPU device in software, many times that.
  testTimeout: process.env['DEVICE'] === 'webgpu' ? 900_000 : 180_000,
};
