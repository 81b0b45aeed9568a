import js from '@eslint/js';
import tseslint from 'typescript-eslint';
import noImportCycle from './eslint-no-import-cycle.js';

/** The rooms of src/ in import order: a room may import from the rooms before it, never from those after it. */
export const ROOMS = [
  'formats',
  'hub',
  'llm',
  'backend',
  'tokenizer',
  'graph',
  'neuronpedia',
  'suggest',
  'picture',
  'paper',
  'study',
  'model',
  'transcoder',
  'replacement',
  'attribution',
  'attention',
  'intervention',
  'generation',
  'training',
  'features',
  'evaluation',
  'trainer',
  'engine',
  'settings',
  'report',
  'viewer',
  'mcp',
  'cli',
];

/** Packages that only some rooms may know. */
const PACKAGE_OWNERS = {
  '@tensorflow/*': [
    'backend',
    'model',
    'transcoder',
    'replacement',
    'attribution',
    'attention',
    'intervention',
    'generation',
    'training',
    'features',
    'evaluation',
    'trainer',
  ],
  chalk: ['report'],
  ora: ['report'],
  'cli-table3': ['report'],
  commander: ['cli'],
  '@huggingface/hub': ['hub'],
  '@huggingface/jinja': ['tokenizer'],
  '@huggingface/tokenizers': ['tokenizer'],
  undici: ['hub'],
  'hono*': ['viewer'],
  '@hono/*': ['viewer'],
  yaml: ['formats'],
  yauzl: ['formats'],
  hyparquet: ['formats'],
  'hyparquet-compressors': ['formats'],
  '@duckdb/*': ['study'],
  'simple-statistics': ['study'],
  'ml-hclust': ['suggest', 'study'],
  openai: ['llm'],
  '@modelcontextprotocol/*': ['mcp'],
  '@valibot/to-json-schema': ['mcp'],
};

const roomRules = ROOMS.map((room, place) => ({
  files: [`src/${room}/**/*.ts`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          ...ROOMS.slice(place + 1).map((later) => ({
            group: [`../${later}/*`, `../../${later}/*`, `**/src/${later}/*`],
            message: `'${room}' stands before '${later}' and must not know it (docs/architecture.md).`,
          })),
          ...Object.entries(PACKAGE_OWNERS)
            .filter(([, owners]) => !owners.includes(room))
            .map(([name, owners]) => ({
              group: [name],
              message: `Only ${owners.join(', ')} may import ${name}.`,
            })),
        ],
      },
    ],
  },
}));

/** Arguments lie on the stack, which about 120,000 of them overflow. (Math.hypot takes vectors of a model's width.) */
const SPREAD_INTO_CALL = {
  selector:
    'CallExpression[callee.property.name=/^(push|unshift|max|min|assign|apply|concat|fromCharCode|fromCodePoint)$/] > SpreadElement',
  message: 'A list of any length is not spread into arguments: loop over it, or reduce it.',
};

/** In JSON and YAML a list is no object. */
const LISTS_AS_OBJECTS = {
  selector:
    "CallExpression[callee.object.name='v'][callee.property.name=/^(object|looseObject|strictObject|objectWithRest|record)$/]",
  message: 'Valibot takes a list for an object: use the schemas of src/formats/json-object.ts.',
};

export default tseslint.config(
  { ignores: ['dist/', 'dist-training/', 'node_modules/', 'test/fixtures/', 'bench/checkpoints/'] },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      parserOptions: { project: './tsconfig.test.json', tsconfigRootDir: import.meta.dirname },
      globals: {
        process: 'readonly',
        console: 'readonly',
        setTimeout: 'readonly',
        performance: 'readonly',
        URL: 'readonly',
        Buffer: 'readonly',
      },
    },
    rules: {
      eqeqeq: 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  { files: ['**/*.js', '**/*.mjs'], ...tseslint.configs.disableTypeChecked },
  {
    files: ['**/*.{ts,tsx}'],
    plugins: { tracer: { rules: { 'no-import-cycle': noImportCycle } } },
    rules: { 'tracer/no-import-cycle': 'error' },
  },
  ...roomRules,
  {
    files: ['page/**/*.{ts,tsx}', 'test/page/**/*.ts', 'vite.config.ts'],
    languageOptions: { parserOptions: { project: './page/tsconfig.json' } },
  },
  {
    files: ['page/**/*.{ts,tsx}'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: ['**/src/*/**', '!**/src/picture/**'],
              allowTypeImports: true,
              message: 'Of the program the page takes src/picture, and types of the rest.',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['src/**/*.ts', 'page/**/*.{ts,tsx}', 'training/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', SPREAD_INTO_CALL] },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/backend/**', 'src/formats/json-object.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        SPREAD_INTO_CALL,
        LISTS_AS_OBJECTS,
        {
          selector: 'CallExpression[callee.property.name=/^(dataSync|arraySync)$/]',
          message:
            'Values are read with await tensor.data(): a backend may not be able to read synchronously.',
        },
      ],
    },
  },
);
