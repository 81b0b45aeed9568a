/** Builds the viewer's page from page/ into dist/page/: one script, one style sheet, nothing from a network. */
import { defineConfig, type Plugin } from 'vite';

/** Plain tags, so that whoever puts script and style into the page finds them by their exact text. */
const plainTags: Plugin = {
  name: 'plain-tags',
  enforce: 'post',
  transformIndexHtml: (html) => html.replaceAll(' crossorigin', ''),
};

export default defineConfig({
  plugins: [plainTags],
  root: import.meta.dirname + '/page',
  // Relative, so that the page works under any path of the server and from disk.
  base: './',
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
  build: {
    outDir: import.meta.dirname + '/dist/page',
    emptyOutDir: true,
    target: 'es2022',
    cssTarget: 'esnext', // keeps light-dark(), which every browser of the last two years knows
    modulePreload: false,
    reportCompressedSize: false,
    rollupOptions: {
      output: {
        // Fixed names and a single chunk: the export to one file puts both into index.html.
        entryFileNames: 'assets/app.js',
        assetFileNames: 'assets/app[extname]',
        inlineDynamicImports: true,
      },
    },
  },
});
