/** Given to node with `--import`. */
import { register } from 'node:module';

register('./loader.mjs', import.meta.url);
